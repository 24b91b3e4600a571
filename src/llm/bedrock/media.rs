//! Images and documents of Converse. They travel as bytes or lie in S3; nothing is fetched by URL.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::wire::{WireDocument, WireImage, WireS3, WireSource};
use crate::llm::chat::{Content, Source};
use crate::llm::error::RequestError;

/// Formats of documents with their media types; the first of a format is written.
const DOCUMENTS: [(&str, &str); 11] = [
    ("pdf", "application/pdf"),
    ("csv", "text/csv"),
    ("doc", "application/msword"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("xls", "application/vnd.ms-excel"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("html", "text/html"),
    ("txt", "text/plain"),
    ("md", "text/markdown"),
    ("txt", "application/json"),
    ("md", "text/x-markdown"),
];

/// The longest name of a document.
const MAX_NAME: usize = 200;

/// An image as Converse takes it.
pub fn encode_image(source: &Source) -> Result<WireImage, RequestError> {
    match source {
        Source::Base64 { media_type, data } => {
            let format = match media_type.as_str() {
                "image/png" => "png",
                "image/jpeg" | "image/jpg" => "jpeg",
                "image/gif" => "gif",
                "image/webp" => "webp",
                other => {
                    return Err(refused(format!(
                        "an image of type \"{other}\" cannot be given to Bedrock: use png, jpeg, gif or webp"
                    )));
                }
            };
            Ok(WireImage { format: format.to_owned(), source: bytes(data) })
        }
        Source::Url(url) if url.starts_with("s3://") => {
            Ok(WireImage { format: image_ending(url)?.to_owned(), source: s3(url) })
        }
        Source::Url(_) => Err(refused(
            "Bedrock fetches no images by URL: send the image in base64, for example \"data:image/png;base64,...\", or name an s3:// object",
        )),
        Source::Text(_) | Source::Id(_) => Err(refused(
            "an uploaded image cannot be given to Bedrock: send it in base64, for example \"data:image/png;base64,...\"",
        )),
    }
}

fn image_ending(url: &str) -> Result<&'static str, RequestError> {
    let ending = url.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    match ending.as_str() {
        "png" => Ok("png"),
        "jpg" | "jpeg" => Ok("jpeg"),
        "gif" => Ok("gif"),
        "webp" => Ok("webp"),
        _ => {
            Err(refused("the name of an s3:// image must end in .png, .jpg, .jpeg, .gif or .webp"))
        }
    }
}

fn bytes(data: &str) -> WireSource {
    WireSource { bytes: Some(data.to_owned()), ..WireSource::default() }
}

fn s3(url: &str) -> WireSource {
    WireSource { s3_location: Some(WireS3 { uri: url.to_owned() }), ..WireSource::default() }
}

fn refused(message: impl Into<String>) -> RequestError {
    RequestError::field("messages", message)
}

/// Names of documents given so far: Bedrock refuses two alike in one request.
#[derive(Debug, Default)]
pub struct DocumentNames(BTreeSet<String>);

impl DocumentNames {
    /// A name that Bedrock takes, used once: letters, digits, single spaces, `-()[]`.
    fn take(&mut self, wanted: Option<&str>) -> String {
        let stem = wanted.map(without_ending).map(plain).filter(|name| !name.is_empty());
        let stem = stem.unwrap_or_else(|| "Document".to_owned());
        let mut name = stem.clone();
        let mut number = 2_u32;
        while !self.0.insert(name.clone()) {
            name = format!("{stem} ({number})");
            number = number.saturating_add(1);
        }
        name
    }
}

/// The format says what the ending said, and a dot is refused.
fn without_ending(name: &str) -> &str {
    let known =
        |ending: &str| DOCUMENTS.iter().any(|(format, _)| format.eq_ignore_ascii_case(ending));
    match name.rsplit_once('.') {
        Some((stem, ending)) if known(ending) => stem,
        _ => name,
    }
}

fn plain(name: &str) -> String {
    let kept = |c: char| if c.is_ascii_alphanumeric() || "-()[]".contains(c) { c } else { ' ' };
    let spaced: String = name.chars().map(kept).collect();
    let mut words = spaced.split_whitespace().collect::<Vec<_>>().join(" ");
    // Room is left for a number; all is ASCII here.
    words.truncate(MAX_NAME - 16);
    words.trim_end().to_owned()
}

/// A document as Converse takes it.
pub fn encode_document(
    source: &Source,
    name: Option<&str>,
    names: &mut DocumentNames,
) -> Result<WireDocument, RequestError> {
    let (format, source) = match source {
        Source::Base64 { media_type, data } => (document_format(media_type)?, bytes(data)),
        Source::Text(text) => ("txt", bytes(&STANDARD.encode(text))),
        Source::Url(url) if url.starts_with("s3://") => (document_ending(url)?, s3(url)),
        Source::Url(_) => {
            return Err(refused(
                "Bedrock fetches no documents by URL: send the document in base64, or name an s3:// object",
            ));
        }
        Source::Id(_) => {
            return Err(refused(
                "an uploaded document cannot be given to Bedrock: send it in base64",
            ));
        }
    };
    Ok(WireDocument { name: names.take(name), format: Some(format.to_owned()), source })
}

fn document_format(media_type: &str) -> Result<&'static str, RequestError> {
    let bare = media_type.split(';').next().unwrap_or_default().trim();
    let found = DOCUMENTS.iter().find(|(_, known)| known.eq_ignore_ascii_case(bare));
    found.map(|(format, _)| *format).ok_or_else(|| {
        refused(format!(
            "a document of type \"{bare}\" cannot be given to Bedrock: use pdf, csv, doc, docx, xls, xlsx, html, txt or md"
        ))
    })
}

fn document_ending(url: &str) -> Result<&'static str, RequestError> {
    let ending = url.rsplit('.').next().unwrap_or_default();
    let found = DOCUMENTS.iter().find(|(format, _)| format.eq_ignore_ascii_case(ending));
    found.map(|(format, _)| *format).ok_or_else(|| {
        refused("the name of an s3:// document must end in its format, such as .pdf or .txt")
    })
}

/// The image that a block holds; `None`: it has no data.
pub fn decode_image(wire: WireImage) -> Option<Content> {
    let media_type = format!("image/{}", wire.format);
    let source = decode_source(wire.source, &media_type)?;
    Some(Content::Image { source, detail: None })
}

/// The document that a block holds; `None`: it has no data.
pub fn decode_document(wire: WireDocument) -> Option<Content> {
    let format = wire.format.as_deref().unwrap_or("txt");
    let known = DOCUMENTS.iter().find(|(known, _)| *known == format);
    let media_type = known.map_or("application/octet-stream", |(_, media_type)| media_type);
    let source = decode_source(wire.source, media_type)?;
    Some(Content::File { source, name: Some(wire.name) })
}

fn decode_source(source: WireSource, media_type: &str) -> Option<Source> {
    let inline = |data| Source::Base64 { media_type: media_type.to_owned(), data };
    source
        .bytes
        .map(inline)
        .or_else(|| source.s3_location.map(|place| Source::Url(place.uri)))
        .or_else(|| source.text.map(Source::Text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base64(media_type: &str) -> Source {
        Source::Base64 { media_type: media_type.to_owned(), data: "AAAA".to_owned() }
    }

    #[test]
    fn images_are_bytes_or_lie_in_s3() {
        assert_eq!(encode_image(&base64("image/jpg")).unwrap().format, "jpeg");
        let stored = encode_image(&Source::Url("s3://b/cat.PNG".to_owned())).unwrap();
        assert_eq!(stored.format, "png");
        assert_eq!(stored.source.s3_location.unwrap().uri, "s3://b/cat.PNG");
        for source in [
            Source::Url("https://x.test/cat.png".to_owned()),
            Source::Url("s3://b/cat".to_owned()),
            Source::Id("file_1".to_owned()),
            base64("image/tiff"),
        ] {
            assert!(encode_image(&source).is_err(), "{source:?}");
        }
    }

    #[test]
    fn names_of_documents_are_plain_and_unique() {
        let mut names = DocumentNames::default();
        for (wanted, given) in [
            (Some("report_2024.v2.pdf"), "report 2024 v2"),
            (Some("report 2024/v2"), "report 2024 v2 (2)"),
            (Some("naïve  (draft)[1].PDF"), "na ve (draft)[1]"),
            (Some("..."), "Document"),
            (None, "Document (2)"),
        ] {
            assert_eq!(names.take(wanted), given);
        }
        assert!(names.take(Some(&"x".repeat(500))).len() <= MAX_NAME);
        assert!(names.take(Some(&"x".repeat(500))).len() <= MAX_NAME);
    }

    #[test]
    fn documents_keep_their_format() {
        let mut names = DocumentNames::default();
        let mut format = |source: &Source| {
            encode_document(source, None, &mut names).map(|document| document.format.unwrap())
        };
        assert_eq!(format(&base64("application/pdf")).unwrap(), "pdf");
        assert_eq!(format(&base64("text/plain; charset=utf-8")).unwrap(), "txt");
        assert_eq!(format(&Source::Text("é".to_owned())).unwrap(), "txt");
        assert_eq!(format(&Source::Url("s3://b/a.docx".to_owned())).unwrap(), "docx");
        assert!(format(&base64("application/zip")).is_err());
        assert!(format(&Source::Url("https://x.test/a.pdf".to_owned())).is_err());
        assert!(format(&Source::Id("file_1".to_owned())).is_err());
    }
}
