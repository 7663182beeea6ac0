//! Which words a call is refused with.

mod support;

use support::{Server, check};

#[test]
fn nobody_takes_over_where_no_cluster_is() {
    let server = Server::start(&[]);
    check(
        &mut server.connect(),
        &[
            ("SHUTDOWN FAILOVER ABORT", "-ERR syntax error"),
            ("SHUTDOWN FAILOVER", "-ERR SHUTDOWN FAILOVER is only supported in cluster mode."),
            ("PING", "PONG"),
        ],
    );
}
