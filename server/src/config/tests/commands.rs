//! CONFIG GET and CONFIG SET.

use super::super::*;

const HERE: Circumstances = Circumstances { client_is_local: true, loading: false };

fn get(config: &Config, patterns: &[&str]) -> Vec<(String, String)> {
    let patterns: Vec<&[u8]> = patterns.iter().map(|pattern| pattern.as_bytes()).collect();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    config.get(&patterns).into_iter().map(|(name, value)| (text(name), text(value))).collect()
}

fn names(config: &Config, patterns: &[&str]) -> Vec<String> {
    get(config, patterns).into_iter().map(|(name, _)| name).collect()
}

fn set(config: &mut Config, pairs: &[(&str, &str)]) -> Result<Vec<(Effect, &'static str)>, String> {
    set_when(config, pairs, HERE)
}

fn set_when(
    config: &mut Config,
    pairs: &[(&str, &str)],
    circumstances: Circumstances,
) -> Result<Vec<(Effect, &'static str)>, String> {
    let pairs: Vec<(&[u8], &[u8])> = pairs.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    config.set(&pairs, circumstances).map(|change| change.effects).map_err(|error| error.to_string())
}

#[test]
fn a_directive_is_answered_under_the_name_asked_for() {
    let config = Config { replica_priority: 7, ..Config::default() };
    assert_eq!(get(&config, &["slave-priority"]), [("slave-priority".into(), "7".into())]);
    assert_eq!(get(&config, &["Replica-Priority"]), [("Replica-Priority".into(), "7".into())]);
    assert_eq!(names(&config, &["*-PRIORITY"]), ["replica-priority", "slave-priority"]);
    assert_eq!(names(&config, &["port", "nope", "PORT", "por?"]), ["port"]);
}

#[test]
fn hidden_directives_are_shown_by_their_exact_name_only() {
    let config = Config::default();
    assert_eq!(names(&config, &["key-load-dela*"]), [""; 0]);
    assert_eq!(get(&config, &["key-load-delay"]), [("key-load-delay".into(), "0".into())]);
    // Valkey answers 237 names; ours are three more.
    assert_eq!(get(&config, &["*"]).len(), 237 + 3);
}

#[test]
fn passwords_are_shown_to_whoever_may_ask() {
    let config = Config { requirepass: b"hush".to_vec(), ..Config::default() };
    assert_eq!(get(&config, &["requirepass"]), [("requirepass".into(), "hush".into())]);
}

#[test]
fn setting_tells_what_owners_have_to_do() {
    let mut config = Config::default();
    let pairs = [("maxmemory", "1gb"), ("port", "7000"), ("bind", "::1"), ("timeout", "5")];
    assert_eq!(
        set(&mut config, &pairs),
        Ok(vec![(Effect::Eviction, "maxmemory"), (Effect::Listen, "port"), (Effect::Bind, "bind")])
    );
    assert_eq!((config.maxmemory, config.port, config.timeout), (1 << 30, 7000, 5));
    assert_eq!(set(&mut config, &[("port", "7000")]), Ok(vec![]), "nothing changed");
}

#[test]
fn all_pairs_are_set_or_none() {
    let mut config = Config::default();
    let refusal = set(&mut config, &[("timeout", "5"), ("maxmemory", "lots")]).unwrap_err();
    assert_eq!(
        refusal,
        "CONFIG SET failed (possibly related to argument 'maxmemory') - argument must be a memory value"
    );
    assert_eq!(config, Config::default());
}

#[test]
fn an_owner_that_fails_brings_the_old_values_back() {
    let mut config = Config::default();
    let change = config.set(&[(b"port", b"7000"), (b"timeout", b"5")], HERE).unwrap();
    config.restore(change.before);
    assert_eq!(config, Config::default());
    assert_eq!(
        SetError::failed(change.effects[0].1, "Unable to listen on this port. Check server logs.").to_string(),
        "CONFIG SET failed (possibly related to argument 'port') - Unable to listen on this port. Check server logs."
    );
}

#[test]
fn what_may_not_be_set_says_why() {
    let mut config = Config::default();
    let failed =
        |name: &str, why: &str| Err(format!("CONFIG SET failed (possibly related to argument '{name}') - {why}"));
    assert_eq!(
        set(&mut config, &[("nope", "1")]),
        Err("Unknown option or number of arguments for CONFIG SET - 'nope'".into())
    );
    assert_eq!(set(&mut config, &[("Databases", "1")]), failed("Databases", "can't set immutable config"));
    assert_eq!(set(&mut config, &[("slaveof", "a 1")]), failed("slaveof", "can't set immutable config"));
    assert_eq!(set(&mut config, &[("dbfilename", "x")]), failed("dbfilename", "can't set protected config"));
    assert_eq!(set(&mut config, &[("port", "1"), ("PORT", "2")]), failed("PORT", "duplicate parameter"));
    assert_eq!(
        set(&mut config, &[("SLOWLOG-MAX-LEN", "x")]),
        failed("slowlog-max-len", "argument couldn't be parsed into an integer")
    );
    assert!(set(&mut config, &[("primaryauth", "a"), ("masterauth", "b")]).is_ok());
    assert_eq!(config.primaryauth, b"b");
}

#[test]
fn protected_directives_are_for_those_whom_the_file_admits() {
    let away = Circumstances { client_is_local: false, loading: false };
    let mut config = Config { enable_protected_configs: ProtectedAction::Local, ..Config::default() };
    assert!(set_when(&mut config, &[("dbfilename", "a")], away).is_err());
    assert!(set_when(&mut config, &[("dbfilename", "a")], HERE).is_ok());
    config.enable_protected_configs = ProtectedAction::Yes;
    assert!(set_when(&mut config, &[("dbfilename", "b")], away).is_ok());
}

#[test]
fn some_directives_wait_for_the_data_set() {
    let loading = Circumstances { client_is_local: true, loading: true };
    let mut config = Config::default();
    assert_eq!(config.set(&[(b"appendonly", b"yes")], loading).err(), Some(SetError::Loading));
    assert!(config.set(&[(b"timeout", b"1")], loading).is_ok());
}

#[test]
fn many_words_are_separated_by_one_blank() {
    let mut config = Config::default();
    set(&mut config, &[("save", "60 1 30 2"), ("bind", "127.0.0.1 ::1")]).unwrap();
    assert_eq!(
        get(&config, &["bind", "save"]).iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>(),
        ["127.0.0.1 ::1", "60 1 30 2"]
    );
    set(&mut config, &[("save", ""), ("bind", ""), ("latency-tracking-info-percentiles", "")]).unwrap();
    assert!(config.save.is_empty() && config.bind.is_empty() && config.latency_tracking_info_percentiles.is_empty());
    assert!(set(&mut config, &[("save", "60  1")]).is_err());
    assert!(set(&mut config, &[("oom-score-adj-values", "")]).unwrap_err().ends_with("wrong number of arguments"));
}

#[test]
fn a_number_without_bounds_may_be_negative() {
    let mut config = Config::default();
    for number in ["-1", "-9223372036854775808", "9223372036854775807"] {
        assert!(set(&mut config, &[("cluster-blacklist-ttl", number)]).is_ok(), "{number}");
        assert_eq!(get(&config, &["cluster-blacklist-ttl"]), [("cluster-blacklist-ttl".into(), number.into())]);
    }
}

#[test]
fn what_this_server_does_not_have_cannot_be_turned_on() {
    let mut config = Config::default();
    assert!(set(&mut config, &[("tls-protocols", "TLSv1.1")]).unwrap_err().contains("'tls-protocols' must be"));
    assert!(set(&mut config, &[("tls-protocols", "TLSv1.2 TLSv1.3")]).is_ok());
    assert!(set(&mut config, &[("rdma-bind", "127.0.0.1")]).unwrap_err().ends_with("No RDMA building support."));
}
