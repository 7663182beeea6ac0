//! Golden output of every form.

use super::*;

/// Reads a reply from the wire.
fn reply(wire: &str) -> Reply {
    let mut parser = super::super::reply::Parser::default();
    parser.feed(wire.replace(' ', "\r\n").replace('_', " ").as_bytes());
    parser.next_reply().unwrap().unwrap()
}

fn shown(output: Output, wire: &str) -> String {
    let format = Format { output, element_delimiter: b"\n".to_vec(), reply_delimiter: b"\n".to_vec() };
    String::from_utf8(format.reply(&reply(wire), false)).unwrap()
}

// In the tables a blank stands for CR LF, `_` for a blank, so that each reply is one line.

#[test]
fn people_see_types_quotes_and_numbered_elements() {
    let table = [
        ("+OK ", "OK\n"),
        ("-ERR_bad_thing ", "(error) ERR bad thing\n"),
        (":42 ", "(integer) 42\n"),
        (":-1 ", "(integer) -1\n"),
        (",3.14 ", "(double) 3.14\n"),
        ("(12345678901234567890 ", "(big number) 12345678901234567890\n"),
        ("#t ", "(true)\n"),
        ("#f ", "(false)\n"),
        ("$-1 ", "(nil)\n"),
        ("*-1 ", "(nil)\n"),
        ("$3 a\"b ", "\"a\\\"b\"\n"),
        ("$3 a\tb ", "\"a\\tb\"\n"),
        ("$2 é ", "\"\\xc3\\xa9\"\n"),
        ("=8 txt:a\tbc ", "a\tbc\n"),
        ("*0 ", "(empty array)\n"),
        ("~0 ", "(empty set)\n"),
        ("%0 ", "(empty hash)\n"),
        (">0 ", "(empty push)\n"),
        ("*1 :1 ", "1) (integer) 1\n"),
        ("*2 $1 a $1 b ", "1) \"a\"\n2) \"b\"\n"),
        ("~2 $1 a :1 ", "1~ \"a\"\n2~ (integer) 1\n"),
        (">2 $1 a $1 b ", "1) \"a\"\n2) \"b\"\n"),
        ("%1 $1 k $1 v ", "1# \"k\" => \"v\"\n"),
        ("*2 *2 :1 :2 :3 ", "1) 1) (integer) 1\n   2) (integer) 2\n2) (integer) 3\n"),
        ("*1 *2 *1 :1 -ERR_x ", "1) 1) 1) (integer) 1\n   2) (error) ERR x\n"),
        ("*2 *0 $-1 ", "1) (empty array)\n2) (nil)\n"),
    ];
    for (wire, want) in table {
        assert_eq!(shown(Output::Standard, wire), want, "{wire}");
    }
}

#[test]
fn indices_are_aligned_to_the_widest() {
    let wire = format!("*11 {}", "*2 :1 :2 ".repeat(11));
    let lines = shown(Output::Standard, &wire);
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines[..2], [" 1) 1) (integer) 1", "    2) (integer) 2"]);
    assert_eq!(lines[20..], ["11) 1) (integer) 1", "    2) (integer) 2"]);
}

#[test]
fn values_of_a_map_that_take_several_lines_start_on_their_own() {
    let wire = "%3 $1 a *2 :1 :2 $1 b *1 :3 $1 c %2 $1 x :1 $1 y *2 :8 :9 ";
    let want = "1# \"a\" => \n   1) (integer) 1\n   2) (integer) 2\n\
                2# \"b\" => 1) (integer) 3\n\
                3# \"c\" => \n   1# \"x\" => (integer) 1\n   2# \"y\" => \n      1) (integer) 8\n      2) (integer) 9\n";
    assert_eq!(shown(Output::Standard, wire), want);
}

#[test]
fn raw_output_is_the_bytes_between_delimiters() {
    let table = [
        ("+OK ", "OK\n"),
        ("-ERR_x ", "ERR x\n\n"),
        (":42 ", "42\n"),
        (",3.14 ", "3.14\n"),
        ("#t ", "(true)\n"),
        ("$-1 ", "\n"),
        ("$3 a\"b ", "a\"b\n"),
        ("*3 $1 a $-1 :1 ", "a\n\n1\n"),
        ("*2 *2 :1 :2 :3 ", "1\n2\n3\n"),
        ("*0 ", "\n"),
        ("%2 $1 a :1 $1 b *2 :2 :3 ", "a 1\nb 2\n3\n"),
    ];
    for (wire, want) in table {
        assert_eq!(shown(Output::Raw, wire), want, "{wire}");
    }
    let format = Format { output: Output::Raw, element_delimiter: b";".to_vec(), reply_delimiter: b"".to_vec() };
    assert_eq!(format.reply(&reply("*2 :1 *2 :2 :3 "), false), b"1;2;3");
}

#[test]
fn csv_is_a_flat_line() {
    let table = [
        ("+OK ", "\"OK\"\n"),
        ("-ERR_x ", "ERROR,\"ERR x\"\n"),
        ("$-1 ", "NULL\n"),
        ("#t ", "true\n"),
        ("*3 $3 a\"b :1 *2 ,1.5 $-1 ", "\"a\\\"b\",1,1.5,NULL\n"),
        ("%1 $1 k :1 ", "\"k\",1\n"),
    ];
    for (wire, want) in table {
        assert_eq!(shown(Output::Csv, wire), want, "{wire}");
    }
}

#[test]
fn json_is_one_line_of_json() {
    let table = [
        ("+OK ", "\"OK\"\n", "\"OK\"\n"),
        ("-ERR_x ", "error:\"ERR x\"\n", "error:\"ERR x\"\n"),
        ("$-1 ", "null\n", "null\n"),
        ("#f ", "false\n", "false\n"),
        ("*2 $2 é ,1.5 ", "[\"é\",1.5]\n", "[\"\\\\xc3\\\\xa9\",1.5]\n"),
        ("~1 :1 ", "[1]\n", "[1]\n"),
        ("%2 $1 k :1 :5 *0 ", "{\"k\":1,\"5\":[]}\n", "{\"k\":1,\"5\":[]}\n"),
    ];
    for (wire, json, ascii) in table {
        assert_eq!(shown(Output::Json, wire), json, "{wire}");
        assert_eq!(shown(Output::QuotedJson, wire), ascii, "{wire}");
    }
}

#[test]
fn reports_are_shown_as_they_are_in_every_form() {
    let report = reply("$8 a:1 b:2 ");
    for output in [Output::Standard, Output::Raw, Output::Csv, Output::Json] {
        let format = Format { output, element_delimiter: b"\n".to_vec(), reply_delimiter: b"\n".to_vec() };
        assert_eq!(format.reply(&report, true), b"a:1\r\nb:2", "{output:?}");
    }
}

#[test]
fn invalidations_are_shortened_for_people() {
    let format = |output| Format { output, element_delimiter: b"\n".to_vec(), reply_delimiter: b"\n".to_vec() };
    let keys = reply(">2 $10 invalidate *2 $1 a $1 b ");
    assert_eq!(format(Output::Standard).push(&keys), b"-> invalidate: 'a', 'b'\n");
    assert_eq!(format(Output::Raw).push(&keys), b"invalidate\na\nb\n");
    let all = reply(">2 $10 invalidate $-1 ");
    assert_eq!(format(Output::Standard).push(&all), b"1) \"invalidate\"\n2) (nil)\n");
}
