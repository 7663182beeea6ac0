//! Checks of values beyond what their types allow, each with the reason for a refusal.

/// A file name that is not empty and leads nowhere else; the two reasons are the directive's own.
macro_rules! file_name {
    ($($name:ident = $directive:literal $what:literal;)*) => {$(
        #[doc = concat!("`", $directive, "` is a bare name.")]
        pub(super) fn $name(value: &[u8]) -> Result<(), &'static str> {
            if value.is_empty() {
                Err(concat!($directive, " can't be empty"))
            } else if value.contains(&b'/') || value.contains(&b'\\') {
                Err(concat!($directive, " can't be a path, just a ", $what))
            } else {
                Ok(())
            }
        }
    )*};
}

file_name! {
    dbfilename = "dbfilename" "filename";
    appendfilename = "appendfilename" "filename";
    appenddirname = "appenddirname" "dirname";
}

/// Directives that ask for what this server does not have, with their only value that is accepted.
macro_rules! absent {
    ($($name:ident($type:ty) = $only:literal, $reason:literal;)*) => {$(
        #[doc = concat!("Refused: ", $reason, ".")]
        pub(super) fn $name(value: &$type) -> Result<(), &'static str> {
            if *value == $only { Ok(()) } else { Err($reason) }
        }
    )*};
}

absent! {
    cluster_enabled(bool) = false, "this server has no cluster mode: 'cluster-enabled' must be 'no'";
    rdma_port(u16) = 0, "this server has no RDMA: 'rdma-port' must be 0";
}

/// `tls-protocols` names versions that can be had.
pub(super) fn tls_protocols(value: &[u8]) -> Result<(), &'static str> {
    crate::tls::check_protocols(value)
        .map_err(|_| "this server speaks TLSv1.2 and TLSv1.3: 'tls-protocols' must be of these, or empty")
}

/// A template of known variables. With an empty title, something must be left of it.
pub(super) fn proc_title_template(value: &[u8]) -> Result<(), &'static str> {
    let expanded = super::template::expand(value, |name| match name {
        b"title" => Some(Vec::new()),
        b"listen-addr" | b"server-mode" | b"port" | b"tls-port" | b"unixsocket" | b"config-file" => Some(name.to_vec()),
        _ => None,
    });
    match expanded {
        Some(text) if !text.is_empty() => Ok(()),
        _ => Err("template format is invalid or contains unknown variables"),
    }
}

/// An IPv4 address or nothing.
pub(super) fn ipv4(value: &[u8]) -> Result<(), &'static str> {
    address::<std::net::Ipv4Addr>(value, "Invalid IPv4 address")
}

/// An IPv6 address or nothing.
pub(super) fn ipv6(value: &[u8]) -> Result<(), &'static str> {
    address::<std::net::Ipv6Addr>(value, "Invalid IPv6 address")
}

fn address<A: std::str::FromStr>(value: &[u8], refusal: &'static str) -> Result<(), &'static str> {
    let valid = std::str::from_utf8(value).is_ok_and(|text| text.is_empty() || text.parse::<A>().is_ok());
    if valid { Ok(()) } else { Err(refusal) }
}

/// A host name of less than 256 letters, digits, hyphens and dots.
pub(super) fn hostname(value: &[u8]) -> Result<(), &'static str> {
    if value.len() >= 256 {
        Err("Hostnames must be less than 256 characters")
    } else if value.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.')) {
        Ok(())
    } else {
        Err("Hostnames may only contain alphanumeric characters, hyphens or dots")
    }
}

/// A name for people, of characters that a cluster's file can hold.
pub(super) fn human_nodename(value: &[u8]) -> Result<(), &'static str> {
    if is_plain(value) { Ok(()) } else { Err("Announced human node name contained invalid character") }
}

/// An announced address: plain characters, no longer than an address is.
pub(super) fn announced_ip(value: &[u8]) -> Result<(), &'static str> {
    if value.len() > 45 {
        Err("cluster-announce-ip is too long")
    } else if is_plain(value) {
        Ok(())
    } else {
        Err("cluster-announce-ip contains invalid character")
    }
}

fn is_plain(value: &[u8]) -> bool {
    value.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-./:_`".contains(byte) || !byte.is_ascii())
}

/// `cluster-config-file` is not empty.
pub(super) fn cluster_config_file(value: &[u8]) -> Result<(), &'static str> {
    if value.is_empty() { Err("cluster-config-file can't be empty") } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_files_are_named_not_pathed() {
        assert_eq!(dbfilename(b"dump.rdb"), Ok(()));
        assert_eq!(dbfilename(b""), Err("dbfilename can't be empty"));
        assert_eq!(dbfilename(b"../x"), Err("dbfilename can't be a path, just a filename"));
        assert_eq!(appenddirname(b"a/b"), Err("appenddirname can't be a path, just a dirname"));
    }

    #[test]
    fn a_process_title_uses_known_variables() {
        for template in ["{title} {listen-addr} {server-mode}", "{{x}", "plain", "{port}{config-file}"] {
            assert_eq!(proc_title_template(template.as_bytes()), Ok(()), "{template}");
        }
        for template in ["", "{title}", "{title}{title}", "{nope}", "{title", "{"] {
            assert!(proc_title_template(template.as_bytes()).is_err(), "{template}");
        }
    }

    #[test]
    fn announced_addresses_are_addresses() {
        assert_eq!(ipv4(b"10.0.0.1"), Ok(()));
        assert_eq!(ipv4(b"::1"), Err("Invalid IPv4 address"));
        assert_eq!(ipv6(b"::1"), Ok(()));
        assert_eq!(ipv6(b""), Ok(()));
        assert!(hostname(b"a_b").is_err() && hostname(&[b'a'; 256]).is_err());
        assert_eq!(hostname(b"pod-0.svc"), Ok(()));
        assert_eq!(announced_ip(b"fe80::1"), Ok(()));
        assert_eq!(announced_ip(b"fe80 1"), Err("cluster-announce-ip contains invalid character"));
        assert_eq!(human_nodename(b"{x}"), Err("Announced human node name contained invalid character"));
    }
}
