//! What is promised of the commands of places.

mod support;

use support::{Server, check};

#[test]
fn a_shape_that_is_none_is_refused_by_what_is_wrong_with_it() {
    let server = Server::start(&[]);
    const TOO_FEW: &str = "-ERR GEOSEARCH BYPOLYGON must have at least 3 vertices";
    check(
        &mut server.connect(),
        &[
            ("GEOSEARCH key FROMLONLAT 0 0 BYBOX -1 x km", "-ERR need numeric height"),
            ("GEOSEARCH key FROMLONLAT 0 0 BYBOX x -1 km", "-ERR need numeric width"),
            ("GEOSEARCH key FROMLONLAT 0 0 BYBOX 1 -1 km", "-ERR height or width cannot be negative"),
            ("GEOSEARCH key FROMLONLAT 0 0 BYRADIUS -1 km", "-ERR radius cannot be negative"),
            ("GEOSEARCH key BYPOLYGON 2 0 0 1 1", TOO_FEW),
            ("GEOSEARCHSTORE to key BYPOLYGON 2 0 0 1 1", TOO_FEW),
        ],
    );
}
