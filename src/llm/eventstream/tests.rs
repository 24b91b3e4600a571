//! Messages are found whatever the cuts, damage is noticed, bounds hold.

use proptest::prelude::*;

use super::*;

/// A message as Bedrock sent it (recorded): `messageStart` with its padding.
const RECORDED: &str = "AAAAjQAAAFKpMZuSCzpldmVudC10eXBlBwAMbWVzc2FnZVN0YXJ0DTpjb250ZW50LXR5cGUHABBhcHBsaWNhdGlvbi9qc29uDTptZXNzYWdlLXR5cGUHAAVldmVudHsicCI6ImFiY2RlZmdoaWprbG1ub3AiLCJyb2xlIjoiYXNzaXN0YW50In20BGRu";

fn recorded() -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(RECORDED).unwrap()
}

fn event(name: &str, json: &str) -> Vec<u8> {
    let mut out = Vec::new();
    write_event(name, Bytes::copy_from_slice(json.as_bytes()), &mut out).unwrap();
    out
}

/// Everything that comes out of a stream fed in pieces.
fn read(pieces: &[&[u8]]) -> Result<Vec<(String, String)>, EventStreamError> {
    let (mut scanner, mut ends, mut found) = (MessageScanner::default(), Vec::new(), Vec::new());
    for piece in pieces {
        let run = scanner.push(Bytes::copy_from_slice(piece), &mut ends)?;
        let mut start = 0;
        for &end in &ends {
            let frame = parse(&run[start..end])?;
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            found.push((text(frame.event), text(&frame.data)));
            start = end;
        }
        assert_eq!(start, run.len());
    }
    Ok(found)
}

#[test]
fn a_recorded_message_is_read() {
    let found = read(&[&recorded()]).unwrap();
    assert_eq!(
        found,
        [("messageStart".to_owned(), r#"{"p":"abcdefghijklmnop","role":"assistant"}"#.to_owned())]
    );
}

#[test]
fn messages_are_found_whatever_the_cuts() {
    let stream = [event("a", "{}"), recorded(), event("b", r#"{"x":"é"}"#)].concat();
    let whole = read(&[&stream]).unwrap();
    assert_eq!(whole.len(), 3);
    for cut in 0..=stream.len() {
        let (head, tail) = stream.split_at(cut);
        assert_eq!(read(&[head, tail]).unwrap(), whole, "cut at {cut}");
    }
    let bytes: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(read(&bytes).unwrap(), whole);
}

#[test]
fn any_changed_byte_is_noticed() {
    let good = recorded();
    for at in 0..good.len() {
        for bit in [0x01, 0x80] {
            let mut bad = good.clone();
            bad[at] ^= bit;
            // A changed length may leave the scanner waiting; then nothing comes out.
            let found = read(&[&bad]);
            assert!(found.is_err() || found == Ok(Vec::new()), "byte {at}: {found:?}");
            assert!(parse(&bad).is_err(), "byte {at}");
        }
    }
}

#[test]
fn lengths_out_of_bounds_are_refused_before_anything_is_held() {
    let prelude = |total: u32, headers: u32| {
        [&total.to_be_bytes()[..], &headers.to_be_bytes()[..], &[0; 4]].concat()
    };
    let largest = u32::try_from(MAX_MESSAGE).unwrap();
    for (total, headers) in
        [(0, 0), (15, 0), (16, 1), (largest + 1, 0), (u32::MAX, 0), (1000, 985), (400_000, 131_073)]
    {
        let error = read(&[&prelude(total, headers)]).unwrap_err();
        assert!(matches!(error, EventStreamError::Length { .. }), "{total} {headers}");
    }
    assert_eq!(read(&[&prelude(largest, 0)]), Ok(Vec::new()));
    assert!(read(&[b"<html>502 Bad Gateway</html>"]).is_err());
}

#[test]
fn exceptions_and_errors_keep_their_type_and_message() {
    let mut out = Vec::new();
    write_exception("throttlingException", Bytes::from(r#"{"message":"slow down"}"#), &mut out)
        .unwrap();
    write_exception("odd", Bytes::from("not json"), &mut out).unwrap();
    let headers = [
        (":message-type", "error"),
        (":error-code", "InternalFailure"),
        (":error-message", "it broke"),
    ];
    write(&headers, Bytes::new(), &mut out).unwrap();
    let found = read(&[&out]).unwrap();
    let data: Vec<&str> = found.iter().map(|(_, data)| data.as_str()).collect();
    assert_eq!(
        data,
        [
            r#"{"__type":"throttlingException","message":"slow down"}"#,
            r#"{"__type":"odd","message":"not json"}"#,
            r#"{"__type":"InternalFailure","message":"it broke"}"#,
        ]
    );
    assert!(found.iter().all(|(event, _)| event.as_bytes() == ERROR_EVENT));
}

#[test]
fn a_message_without_headers_or_with_others_is_an_event() {
    let mut out = Vec::new();
    write_message_to(&Raw::new(Bytes::from("{}")), &mut out).unwrap();
    let odd = Header::new(":event-type", HeaderValue::Int32(7));
    write_message_to(&Raw::new(Bytes::from("{}")).add_header(odd), &mut out).unwrap();
    let nameless = (String::new(), "{}".to_owned());
    assert_eq!(read(&[&out]).unwrap(), [nameless.clone(), nameless]);
}

proptest! {
    #[test]
    fn noise_is_refused_or_waited_for_but_never_read(
        noise in prop::collection::vec(any::<u8>(), 0..200),
        size in 1..50_usize,
    ) {
        let pieces: Vec<&[u8]> = noise.chunks(size).collect();
        let found = read(&pieces);
        prop_assert!(found.is_err() || found == Ok(Vec::new()));
        prop_assert!(parse(&noise).is_err());
    }

    #[test]
    fn what_is_written_is_read(name in "[a-zA-Z]{0,40}", text in ".{0,60}", size in 1..40_usize) {
        let json = Value::from(text).to_string();
        let stream = event(&name, &json);
        let pieces: Vec<&[u8]> = stream.chunks(size).collect();
        prop_assert_eq!(read(&pieces).unwrap(), [(name, json)]);
    }
}
