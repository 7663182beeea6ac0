//! What is promised of strings, counters and bitmaps.

mod support;

use support::{Server, check};

#[test]
fn set_has_conditions_and_can_answer_with_the_old_string() {
    let server = Server::start(&[]);
    check(
        &mut server.connect(),
        &[
            ("SET a 1 XX", "nil"),
            ("SET a 1 NX", "OK"),
            ("SET a 2 NX", "nil"),
            ("SET a 2 IFEQ 1", "OK"),
            ("SET a 3 IFEQ 1", "nil"),
            ("SET a 4 GET", "2"),
            ("SET a 5 IFEQ 9 GET", "4"),
            ("GET a", "4"),
            ("SET a 5 NX XX", "-ERR syntax error"),
            ("SET a 5 IFEQ 4 NX", "-ERR syntax error"),
            ("DELIFEQ a 5", ":0"),
            ("DELIFEQ a 4", ":1"),
            ("SET new 1 GET", "nil"),
            ("SETNX new 2", ":0"),
            ("GETSET new 2", "1"),
            ("GETDEL new", "2"),
            ("EXISTS a new", ":0"),
        ],
    );
}

#[test]
fn a_string_can_be_given_an_expiry_when_it_is_set_or_read() {
    let server = Server::start(&[]);
    check(
        &mut server.connect(),
        &[
            ("SET a 1 EX 100", "OK"),
            ("TTL a", ":100"),
            ("SET a 2 KEEPTTL", "OK"),
            ("TTL a", ":100"),
            ("SET a 3", "OK"),
            ("TTL a", ":-1"),
            ("GETEX a PXAT 33177117420000", "3"),
            ("PEXPIRETIME a", ":33177117420000"),
            ("GETEX a PERSIST", "3"),
            ("PTTL a", ":-1"),
            ("SET a 4 EXAT 1", "OK"),
            ("EXISTS a", ":0"),
            ("SET a 4 EX 0", "-ERR invalid expire time in 'set' command"),
            ("SETEX a 9223372036854775807 v", "-ERR invalid expire time in 'setex' command"),
            ("MSETEX 2 a 1 b 2 EX 50", ":1"),
            ("MSETEX 2 b 1 c 2 NX", ":0"),
            ("MGET a b c", "[1, 2, nil]"),
            ("TTL b", ":50"),
        ],
    );
}

#[test]
fn parts_of_a_string_are_read_and_written_by_position() {
    let server = Server::start(&[]);
    check(
        &mut server.connect(),
        &[
            ("SET s \"hello world\"", "OK"),
            ("GETRANGE s -5 -1", "world"),
            ("GETRANGE s 5 2", ""),
            ("SETRANGE s 6 there", ":11"),
            ("APPEND s !", ":12"),
            ("GET s", "hello there!"),
            ("STRLEN s", ":12"),
            ("SETRANGE new 2 x", ":3"),
            ("GET new", "\0\0x"),
            ("SETRANGE s -1 x", "-ERR offset is out of range"),
            ("SETRANGE s 536870911 xx", "-ERR string exceeds maximum allowed size (proto-max-bulk-len)"),
        ],
    );
}

#[test]
fn counters_refuse_what_they_cannot_hold() {
    let server = Server::start(&[]);
    check(
        &mut server.connect(),
        &[
            ("INCR n", ":1"),
            ("DECRBY n 11", ":-10"),
            ("SET n 9223372036854775807", "OK"),
            ("INCR n", "-ERR increment or decrement would overflow"),
            ("DECRBY n -9223372036854775808", "-ERR decrement would overflow"),
            ("SET n \" 1\"", "OK"),
            ("INCR n", "-ERR value is not an integer or out of range"),
            ("INCRBYFLOAT f 3", "3"),
            ("INCRBYFLOAT f 1.1", "4.1"),
            ("INCRBYFLOAT f -41e-1", "0"),
            ("INCRBYFLOAT f 5.0e3", "5000"),
            ("INCRBYFLOAT f inf", "-ERR increment would produce NaN or Infinity"),
        ],
    );
}

#[test]
fn bits_are_numbered_from_the_highest_of_the_first_byte() {
    let server = Server::start(&[]);
    check(
        &mut server.connect(),
        &[
            ("SETBIT b 7 1", ":0"),
            ("SETBIT b 17 1", ":0"),
            ("GETBIT b 7", ":1"),
            ("GETBIT b 100000", ":0"),
            ("BITCOUNT b", ":2"),
            ("BITCOUNT b 0 7 BIT", ":1"),
            ("BITCOUNT b 8 -1 BIT", ":1"),
            ("BITPOS b 1", ":7"),
            ("BITPOS b 1 8 -1 BIT", ":17"),
            ("BITPOS nothing 0", ":0"),
            ("BITPOS nothing 1", ":-1"),
            ("SET x abc", "OK"),
            ("SET y ab", "OK"),
            ("BITOP XOR z x y", ":3"),
            ("GET z", "\0\0c"),
            ("BITOP AND z x nothing", ":3"),
            ("GET z", "\0\0\0"),
            ("BITOP NOT z x y", "-ERR BITOP NOT must be called with a single source key."),
            ("BITFIELD f SET u8 #1 200 INCRBY u8 #1 100 GET i8 8", "[:0, :44, :44]"),
            ("BITFIELD f OVERFLOW SAT INCRBY u8 #1 300 OVERFLOW FAIL INCRBY u8 #1 1", "[:255, nil]"),
            ("BITFIELD_RO f GET u8 8 GET u4 100", "[:255, :0]"),
            ("BITFIELD_RO f SET u8 8 1", "-ERR BITFIELD_RO only supports the GET subcommand"),
        ],
    );
}

#[test]
fn the_longest_common_subsequence_is_found() {
    let server = Server::start(&[]);
    check(
        &mut server.connect(),
        &[
            ("MSET a ohmytext b mynewtext", "OK"),
            ("LCS a b", "mytext"),
            ("LCS a b LEN", ":6"),
            ("LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN", "[matches, [[[:4, :7], [:5, :8], :4]], len, :6]"),
            ("LCS a nothing", ""),
        ],
    );
}

#[test]
fn hyperloglogs_count_distinct_elements() {
    let server = Server::start(&[]);
    check(
        &mut server.connect(),
        &[
            ("PFADD a x y z x", ":1"),
            ("PFADD a x", ":0"),
            ("PFCOUNT a", ":3"),
            ("PFADD b z w", ":1"),
            ("PFCOUNT a b nothing", ":4"),
            ("PFMERGE both a b", "OK"),
            ("PFCOUNT both", ":4"),
            ("SET s text", "OK"),
            ("PFADD s x", "-WRONGTYPE Key is not a valid HyperLogLog string value."),
        ],
    );
}
