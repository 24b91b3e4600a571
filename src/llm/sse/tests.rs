//! Where frames end and what is in them.

use super::*;

fn frames(pieces: &[&[u8]]) -> (Vec<Vec<u8>>, Bytes) {
    let mut scanner = FrameScanner::default();
    let (mut found, mut ends) = (Vec::new(), Vec::new());
    for piece in pieces {
        let run = scanner.push(Bytes::copy_from_slice(piece), &mut ends).unwrap();
        let mut start = 0;
        for &end in &ends {
            found.push(run[start..end].to_vec());
            start = end;
        }
        assert_eq!(start, run.len());
    }
    (found, scanner.finish())
}

#[test]
fn every_line_end_ends_a_frame() {
    let text = b"data: 1\n\ndata: 2\r\n\r\ndata: 3\r\rdata: 4\n\r\nrest";
    let (found, rest) = frames(&[text]);
    let data: Vec<_> = found.iter().map(|raw| Frame::parse(raw).data.into_owned()).collect();
    assert_eq!(data, [b"1", b"2", b"3", b"4"]);
    assert_eq!(&rest[..], b"rest");
}

#[test]
fn cuts_change_nothing() {
    let text =
        b"\xEF\xBB\xBFevent: a\r\ndata: 1\r\n\r\n: ping\n\ndata:2\ndata: 3\n\ndata: \r\rdata: x";
    let (whole, rest) = frames(&[text]);
    let expected: Vec<_> = whole.iter().map(|raw| format!("{:?}", Frame::parse(raw))).collect();
    for cut in 0..text.len() {
        let (head, tail) = text.split_at(cut);
        let (found, left) = frames(&[head, tail]);
        let parsed: Vec<_> = found.iter().map(|raw| format!("{:?}", Frame::parse(raw))).collect();
        assert_eq!((parsed, left), (expected.clone(), rest.clone()), "cut at {cut}");
    }
}

#[test]
fn a_mark_after_a_line_end_that_was_cut_is_read_as_after_a_whole_one() {
    let text = b"data: 1\r\n\r\n\xEF\xBB\xBFdata: 2\n\n";
    for cut in 0..text.len() {
        let (head, tail) = text.split_at(cut);
        let data: Vec<_> =
            frames(&[head, tail]).0.iter().map(|raw| Frame::parse(raw).data.into_owned()).collect();
        assert_eq!(data, [b"1", b"2"], "cut at {cut}");
    }
}

#[test]
fn a_frame_is_emitted_as_soon_as_it_is_whole() {
    let mut scanner = FrameScanner::default();
    let mut ends = Vec::new();
    let run = scanner.push(Bytes::from_static(b"data: 1\r\n\r"), &mut ends).unwrap();
    assert_eq!(&run[..], b"data: 1\r\n\r");
    let run = scanner.push(Bytes::from_static(b"\ndata: 2\n\n"), &mut ends).unwrap();
    assert_eq!(Frame::parse(&run).data.as_ref(), b"2");
    assert_eq!(ends.len(), 1);
}

#[test]
fn several_data_lines_are_joined_and_comments_skipped() {
    let frame = Frame::parse(b": c\nevent: e\nid: 7\ndata: a\ndata:b\ndata\n\n");
    assert_eq!((frame.event, frame.data.as_ref()), (&b"e"[..], &b"a\nb"[..]));
    assert!(Frame::parse(b": only a comment\n\n").data.is_empty());
}
