//! What the processor's registers held.

/// Names and values of the registers, the instruction's address first.
#[cfg(target_arch = "x86_64")]
pub fn of(context: &libc::ucontext_t) -> [(&'static str, u64); 18] {
    let g = &context.uc_mcontext.gregs;
    [
        ("RIP", libc::REG_RIP),
        ("RSP", libc::REG_RSP),
        ("RBP", libc::REG_RBP),
        ("RAX", libc::REG_RAX),
        ("RBX", libc::REG_RBX),
        ("RCX", libc::REG_RCX),
        ("RDX", libc::REG_RDX),
        ("RDI", libc::REG_RDI),
        ("RSI", libc::REG_RSI),
        ("R8 ", libc::REG_R8),
        ("R9 ", libc::REG_R9),
        ("R10", libc::REG_R10),
        ("R11", libc::REG_R11),
        ("R12", libc::REG_R12),
        ("R13", libc::REG_R13),
        ("R14", libc::REG_R14),
        ("R15", libc::REG_R15),
        ("EFL", libc::REG_EFL),
    ]
    .map(|(name, at)| (name, g[at as usize] as u64))
}

/// Names and values of the registers, the instruction's address first.
#[cfg(target_arch = "aarch64")]
pub fn of(context: &libc::ucontext_t) -> [(&'static str, u64); 33] {
    const NAMES: [&str; 31] = [
        "X0 ", "X1 ", "X2 ", "X3 ", "X4 ", "X5 ", "X6 ", "X7 ", "X8 ", "X9 ", "X10", "X11", "X12", "X13", "X14", "X15",
        "X16", "X17", "X18", "X19", "X20", "X21", "X22", "X23", "X24", "X25", "X26", "X27", "X28", "X29", "X30",
    ];
    let m = &context.uc_mcontext;
    std::array::from_fn(|i| match i {
        0 => ("PC ", m.pc),
        1 => ("SP ", m.sp),
        _ => (NAMES[i - 2], m.regs[i - 2]),
    })
}

/// Of other processors nothing is known.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub fn of(_: &libc::ucontext_t) -> [(&'static str, u64); 0] {
    []
}
