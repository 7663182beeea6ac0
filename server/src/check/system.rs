//! `valkey-server --check-system`: what about this machine slows a server down, or has it fail.

use std::io::Write;
use std::time::{Duration, Instant};

use super::{Outcome, Stop};

/// What a check found.
#[derive(Debug, PartialEq, Eq)]
enum Finding {
    Fine,
    /// It cannot be told here.
    Skipped,
    Warning(String),
}

type Check = (&'static str, fn() -> Finding);

/// The checks, by Valkey's names for them.
const CHECKS: [Check; 4] = [
    ("slow-clocksource", || slow_clock(kernel_share(Duration::from_millis(50)))),
    ("xen-clocksource", || look(&clock_source("current"), xen_clock)),
    ("overcommit", || look("/proc/sys/vm/overcommit_memory", overcommit)),
    ("THP", || look("/sys/kernel/mm/transparent_hugepage/enabled", huge_pages)),
];

/// Runs all checks.
pub fn main(out: &mut impl Write) -> Outcome {
    let mut fine = true;
    for (name, check) in CHECKS {
        let finding = check();
        fine &= !matches!(finding, Finding::Warning(_));
        match finding {
            Finding::Fine => writeln!(out, "[{name}]...OK")?,
            Finding::Skipped => writeln!(out, "[{name}]...skipped")?,
            Finding::Warning(why) => writeln!(out, "[{name}]...WARNING:\n{why}")?,
        }
    }
    if fine { Ok(()) } else { Err(Stop::Found) }
}

/// Judges what a file of the kernel says.
fn look(path: &str, judge: fn(&str) -> Finding) -> Finding {
    std::fs::read_to_string(path).map_or(Finding::Skipped, |text| judge(text.trim()))
}

fn clock_source(which: &str) -> String {
    format!("/sys/devices/system/clocksource/clocksource0/{which}_clocksource")
}

/// Which part of the time it takes to read the clock over and over is spent in the kernel; `None` where no time was counted.
fn kernel_share(duration: Duration) -> Option<f64> {
    let [(user_before, kernel_before), _] = crate::sys::cpu_seconds();
    let began = Instant::now();
    while began.elapsed() < duration {}
    let [(user, kernel), _] = crate::sys::cpu_seconds();
    let (user, kernel) = (user - user_before, kernel - kernel_before);
    (user + kernel > 0.0).then(|| kernel / (user + kernel))
}

fn slow_clock(kernel_share: Option<f64>) -> Finding {
    match kernel_share {
        None => Finding::Skipped,
        Some(share) if share <= 0.1 => Finding::Fine,
        Some(_) => {
            let read = |which| std::fs::read_to_string(clock_source(which)).unwrap_or_default().trim().to_owned();
            Finding::Warning(format!(
                "To read the clock takes a system call here, which slows each command down. The clock source is '{}', and there are: {}. Another one is set by root with: echo tsc > {}; and for good with 'clocksource=' on the kernel's command line.",
                read("current"),
                read("available"),
                clock_source("current")
            ))
        }
    }
}

fn xen_clock(current: &str) -> Finding {
    if current != "xen" {
        return Finding::Fine;
    }
    Finding::Warning(
        "The clock source is 'xen', which is slow on many machines. The check [slow-clocksource] tells whether it is on this one.".to_owned(),
    )
}

fn overcommit(mode: &str) -> Finding {
    if mode == "1" {
        return Finding::Fine;
    }
    Finding::Warning(
        "The kernel may refuse memory that would never be used (vm.overcommit_memory is not 1). A background save, a rewrite of the append-only file, or a full synchronization can then fail although there is memory enough. It is set by root with: sysctl vm.overcommit_memory=1; and for good with 'vm.overcommit_memory = 1' in /etc/sysctl.conf.".to_owned(),
    )
}

fn huge_pages(modes: &str) -> Finding {
    if !modes.contains("[always]") {
        return Finding::Fine;
    }
    Finding::Warning(
        "Transparent huge pages are always on. While a background save runs, a write then copies 2 MB instead of 4 KB, which takes time and memory. They are set by root with: echo madvise > /sys/kernel/mm/transparent_hugepage/enabled; and the server is to be restarted after it.".to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_harms_a_server_is_told_with_its_remedy() {
        let remedy = |finding| match finding {
            Finding::Warning(why) => why,
            other => panic!("{other:?}"),
        };
        assert!(remedy(overcommit("0")).contains("sysctl vm.overcommit_memory=1"));
        assert!(remedy(overcommit("2")).contains("sysctl vm.overcommit_memory=1"));
        assert!(remedy(huge_pages("[always] madvise never")).contains("echo madvise >"));
        assert!(remedy(xen_clock("xen")).contains("slow-clocksource"));
        assert!(remedy(slow_clock(Some(0.9))).contains("clocksource="));
    }

    #[test]
    fn what_is_in_order_is_no_warning() {
        assert_eq!(overcommit("1"), Finding::Fine);
        assert_eq!(huge_pages("always [madvise] never"), Finding::Fine);
        assert_eq!(xen_clock("tsc"), Finding::Fine);
        assert_eq!(slow_clock(Some(0.02)), Finding::Fine);
        assert_eq!(look("/no/such/file", overcommit), Finding::Skipped);
        assert_eq!(slow_clock(None), Finding::Skipped);
    }
}
