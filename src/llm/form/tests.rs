//! Forms as clients send them, and forms that nobody must be able to read in two ways.

use proptest::prelude::*;

use super::*;
use crate::llm::endpoint::Endpoint;
use crate::llm::peek::{ModelPlace, Peek, peek_form};

fn boundary(text: &str) -> Boundary {
    Boundary::read(format!("multipart/form-data; boundary={text}").as_bytes()).unwrap()
}

fn parse(body: &str) -> Result<Form, RequestError> {
    Form::parse(boundary("B"), body.as_bytes())
}

fn field(name: &str, value: &str) -> String {
    format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
}

fn look(body: &str) -> Result<Peek, RequestError> {
    peek_form(&Endpoint::Transcriptions.into(), boundary("B"), body.as_bytes())
}

#[test]
fn fields_and_files_are_found_by_their_places() {
    let file = "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.mp3\"\r\n\
                Content-Type: audio/mpeg\r\n\r\n\r\n--BB-\r\n--\r\n\r\n";
    let file = file.replace("--BB-", "--bB-");
    let body = format!("{}{file}{}--B--\r\n", field("model", "m"), field("empty", ""));
    let form = parse(&body).unwrap();
    let parts: Vec<_> = form
        .parts()
        .iter()
        .map(|part| (part.name.as_str(), part.is_file, &body[part.content.clone()]))
        .collect();
    assert_eq!(
        parts,
        [("model", false, "m"), ("file", true, "\r\n--bB-\r\n--\r\n"), ("empty", false, "")]
    );
    let whole: String = form.parts().iter().map(|part| &body[part.whole.clone()]).collect();
    assert_eq!(format!("{whole}--B--\r\n"), body);
    assert_eq!(form.text(body.as_bytes(), "model"), Some("m"));
    assert_eq!(form.text(body.as_bytes(), "file"), None);
    assert_eq!(form.content_type(), "multipart/form-data; boundary=B");
}

#[test]
fn a_line_end_around_it_and_no_part_at_all_are_allowed() {
    assert_eq!(parse("--B--").unwrap().parts().len(), 0);
    let body = format!("\r\n{}--B--\r\n\r\n", field("a", "b"));
    let form = parse(&body).unwrap();
    assert_eq!(&body[form.parts()[0].content.clone()], "b");
}

#[test]
fn what_is_malformed_is_named_with_its_place() {
    let part = field("model", "m");
    for (body, at, what) in [
        (String::new(), 0, "does not begin"),
        ("{\"model\": \"m\"}".to_owned(), 0, "does not begin"),
        (format!("preamble\r\n{part}--B--"), 0, "does not begin"),
        (part.clone(), part.len(), "ends before its last boundary"),
        (format!("{part}--B"), part.len() + 3, "not followed by a line end"),
        (format!("{part}--B--\r\n{part}"), part.len() + 3, "something follows"),
        (format!("{part}--Bx\r\n\r\n--B--"), part.len() + 3, "not followed by a line end"),
        (format!("{part}--B \r\n\r\n--B--"), part.len() + 3, "not followed by a line end"),
        (format!("{part}--B\r\n--B--"), part.len(), "no blank line"),
        (format!("{part}--B\r\nx: y\r\n--B--"), part.len(), "no blank line"),
        (format!("{part}--B\r\n\r\nm\r\n--B--"), part.len(), "no header content-disposition"),
        (part.replace("\r\n", "\n"), 3, "not followed by a line end"),
    ] {
        let error = parse(&body).unwrap_err().to_string();
        let expected = format!("the form is malformed at byte {at}: ");
        assert!(error.starts_with(&expected) && error.contains(what), "{body:?}: {error}");
    }
    let many = field("a", "b").repeat(257) + "--B--";
    assert!(parse(&many).unwrap_err().to_string().contains("more than 256 parts"));
}

#[test]
fn what_the_proxy_needs_is_found_wherever_it_stands() {
    let file = field("file", "model").replace("\"file\"", "\"file\"; filename=\"model\"");
    let body = format!(
        "{file}{}{}{}{}--B--",
        field("stream", "true"),
        field("n", "3"),
        field("user", "u"),
        field("model", "gpt-4o-transcribe")
    );
    let found = look(&body).unwrap();
    assert_eq!((found.model.as_str(), found.stream, found.choices), ("gpt-4o-transcribe", true, 3));
    assert_eq!(found.user.as_deref(), Some("u"));
    let ModelPlace::Field(span) = found.model_place else { panic!("{:?}", found.model_place) };
    assert_eq!(&body[span], "gpt-4o-transcribe");
}

#[test]
fn a_model_that_can_be_taken_for_another_is_refused() {
    let model = field("model", "m");
    let a_file = model.replace("\"model\"", "\"model\"; filename=\"m\"");
    for (body, what) in [
        ("--B--".to_owned(), "is missing: add one that names the model"),
        (format!("{}--B--", field("model", "")), "is empty"),
        (format!("{model}{model}--B--"), "given more than once"),
        (format!("{a_file}--B--"), "must be a plain text field"),
        (format!("{}--B--", field("model", "m\r\n")), "must be a plain text field"),
        (format!("{}--B--", field("model", &"m".repeat(5000))), "must be a plain text field"),
        (format!("{model}{}--B--", field("n", "0")), "must be a number from 1 to 128"),
        (format!("{model}{}--B--", field("n", "two")), "must be a number from 1 to 128"),
    ] {
        let error = look(&body).unwrap_err().to_string();
        assert!(error.contains(what), "{body:?}: {error}");
    }
}

#[test]
fn files_count_as_what_they_are_and_not_as_text() {
    let file = field("file", &"x".repeat(40_000)).replace("\"file\"", "\"file\"; filename=\"a\"");
    let body = format!("{file}{}{}--B--", field("model", "m"), field("prompt", "123456"));
    let of = |endpoint: Endpoint| {
        let peek = peek_form(&endpoint.into(), boundary("B"), body.as_bytes()).unwrap();
        let estimate = peek.input(endpoint, body.as_bytes());
        (estimate.tokens, estimate.audio_seconds)
    };
    assert_eq!(of(Endpoint::Transcriptions), (10 * 10 + 1 + 2, 10));
    assert_eq!(of(Endpoint::ImageEdits), (7000 + 1 + 2, 0));
}

proptest! {
    /// Whatever the fields hold, they are found as they were written.
    #[test]
    fn what_is_written_is_read(
        values in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..8),
        edge in "[-\r\nB]{0,8}",
    ) {
        let values = values.into_iter().map(|value| [edge.as_bytes(), &value, edge.as_bytes()].concat());
        let unambiguous = |value: &Vec<u8>| {
            memmem::find(value, b"\r\n--B").is_none() && !value.starts_with(b"--B")
        };
        let values: Vec<Vec<u8>> = values.filter(unambiguous).collect();
        let mut body = Vec::new();
        for (at, value) in values.iter().enumerate() {
            body.extend(format!("--B\r\nContent-Disposition: form-data; name=f{at}\r\n\r\n").bytes());
            body.extend(value);
            body.extend(b"\r\n");
        }
        body.extend(b"--B--\r\n");
        let form = Form::parse(boundary("B"), &body).unwrap();
        let contents = form.parts().iter().map(|part| body[part.content.clone()].to_vec());
        prop_assert_eq!(contents.collect::<Vec<_>>(), values);
    }

    /// Nothing that a caller sends can make it fail otherwise than by an error.
    #[test]
    fn anything_is_read_or_refused(body in "(--B|\r\n|-|B|name=|Content-Disposition: form-data;|\"|model|a){0,40}") {
        if let Ok(form) = parse(&body) {
            for part in form.parts() {
                prop_assert!(part.whole.start <= part.content.start);
                prop_assert!(part.content.end + 2 == part.whole.end && part.whole.end <= body.len());
            }
        }
    }
}
