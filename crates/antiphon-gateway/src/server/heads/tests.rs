use proptest::prelude::*;

use super::*;

/// What becomes of a connection's bytes that come in these pieces: the heads found, and why it ended, if it did.
fn read(pieces: &[&[u8]]) -> (Vec<Vec<u8>>, Option<String>) {
    let mut heads = Heads::new(1 << 10, 10);
    let mut held: Vec<u8> = Vec::new();
    let mut found = Vec::new();
    for piece in pieces {
        held.extend_from_slice(piece);
        while !held.is_empty() {
            let step = match heads.in_head() {
                true => heads.head(&held).inspect(|end| {
                    found.extend(end.map(|end| held[..end].to_vec()));
                }),
                false => heads.body(&held).map(Some),
            };
            match step {
                Ok(Some(taken)) => drop(held.drain(..taken)),
                Ok(None) => break,
                Err(unfit) => return (found, Some(unfit.what.into_owned())),
            }
        }
    }
    (found, None)
}

fn refused(bytes: &str) -> String {
    let (found, why) = read(&[bytes.as_bytes()]);
    assert_eq!(found, Vec::<Vec<u8>>::new(), "{bytes:?}");
    why.unwrap_or_else(|| panic!("taken: {bytes:?}"))
}

const CHUNKED: &str = "POST /a HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n";

#[test]
fn each_request_ends_where_its_head_says() {
    let with_length = "POST /a HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\n\r\n";
    let get = "GET /b?c=d HTTP/1.0\r\n\r\n";
    let stream = format!("{with_length}GET /{get}{CHUNKED}3;a=b\r\nGET\r\n0\r\n\r\n{get}");
    let (found, why) = read(&[stream.as_bytes()]);
    assert_eq!(why, None);
    let expected = [with_length, get, CHUNKED, get].map(|head| head.as_bytes().to_vec());
    assert_eq!(found, expected);
    let (found, why) = read(&[PREFACE, b"SM\r\n\r\n\0\0\0\n\n"]);
    assert_eq!((found.len(), why), (1, None));
}

#[test]
fn what_has_two_readings_is_refused_and_says_why() {
    let with = |headers: &str| refused(&format!("POST / HTTP/1.1\r\nHost: h\r\n{headers}\r\n"));
    let cases = [
        (
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "a Content-Length beside a Transfer-Encoding",
        ),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            "a Content-Length beside a Transfer-Encoding",
        ),
        (
            "Content-Length: 5\r\nContent-Length: 5\r\n",
            "more than one Content-Length",
        ),
        (
            "Content-Length: 5, 5\r\n",
            "a Content-Length that is no number",
        ),
        (
            "Content-Length: +5\r\n",
            "a Content-Length that is no number",
        ),
        (
            "Transfer-Encoding: gzip, chunked\r\n",
            "a Transfer-Encoding other than chunked",
        ),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "more than one Transfer-Encoding",
        ),
        (
            "Transfer-Encoding : chunked\r\n",
            "a header whose name is no word",
        ),
        ("X: a\r\n b\r\n", "a header that goes on in the next line"),
        ("X: a\0b\r\n", "a header with control characters"),
        ("X: a\rb\r\n", "a header with control characters"),
        ("X: a\n", "a line that ends without a carriage return"),
        ("X\r\n", "a header without a colon"),
        ("Host: h\r\n", "more than one Host"),
    ];
    for (headers, why) in cases {
        assert_eq!(with(headers), why, "{headers:?}");
    }
    assert_eq!(refused("GET / HTTP/1.1\r\n\r\n"), "no Host");
    assert_eq!(
        refused("\r\nGET / HTTP/1.0\r\n\r\n"),
        "an empty line before the request"
    );
    assert_eq!(
        refused("GET http://a/ HTTP/1.1\r\n\r\n"),
        "a target that is no path"
    );
    let many = "a: b\r\n".repeat(10);
    assert_eq!(with(&many), "more than 10 headers");
    let long = format!("a: {}\r\n", "b".repeat(1 << 10));
    assert_eq!(with(&long), "headers of more than 1 KiB");
    for chunks in [
        "x\r\n",
        "\r\n",
        "1\n",
        "1\r\nab\r\n",
        "0\r\nTrailer: a\r\n\r\n",
        "1000000000000000\r\n",
    ] {
        let (found, why) = read(&[CHUNKED.as_bytes(), chunks.as_bytes()]);
        assert_eq!(
            (found.len(), why.as_deref()),
            (1, Some("chunks that cannot be read")),
            "{chunks:?}"
        );
    }
}

/// Bytes that look like requests more often than not.
fn traffic() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("GET / HTTP/1.1\r\n"),
        Just("Host: h\r\n"),
        Just("\r\n"),
        Just("Content-Length: 3\r\n"),
        Just("Transfer-Encoding: chunked\r\n"),
        Just("3\r\n"),
        Just("abc"),
        Just("0\r\n\r\n"),
        Just("\n"),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    #[test]
    fn where_the_network_cuts_decides_nothing(bytes in traffic(), cuts in prop::collection::vec(1..8_usize, 1..64)) {
        let whole = read(&[&bytes]);
        let mut pieces = Vec::new();
        let (mut rest, mut cuts) = (&bytes[..], cuts.iter().cycle());
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
            pieces.push(piece);
            rest = behind;
        }
        prop_assert_eq!(read(&pieces), whole);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        read(&[&bytes]);
        read(&[CHUNKED.as_bytes(), &bytes]);
    }
}
