//! Images that a model makes, for callers whose dialect has none in its answers: Markdown with the
//! data in it, which becomes an image again when it comes back in the history.

use super::wire::{WireBlob, WirePart};

const OPEN: &str = "![image](data:";

/// An image as text.
pub fn to_text(media_type: &str, data: &str) -> String {
    markdown(&format!("data:{media_type};base64,{data}"))
}

/// An image as text, by its URL, which may be one with the data in it.
pub fn markdown(url: &str) -> String {
    format!("![image]({url})")
}

/// A text of the model's as parts: what [`to_text`] wrote is an image again.
pub fn parts(text: &str) -> Vec<WirePart> {
    let (mut parts, mut rest) = (Vec::new(), text);
    while let Some((before, found)) = rest.split_once(OPEN) {
        let image = found.split_once(')').and_then(|(image, after)| {
            let (media_type, data) = image.split_once(";base64,")?;
            Some((media_type, data, after))
        });
        let Some((media_type, data, after)) = image else { break };
        if !before.is_empty() {
            parts.push(WirePart::text(before));
        }
        let blob = WireBlob {
            mime_type: media_type.to_owned(),
            data: data.to_owned(),
            display_name: None,
        };
        parts.push(WirePart { inline_data: Some(blob), ..WirePart::default() });
        rest = after;
    }
    if !rest.is_empty() || parts.is_empty() {
        parts.push(WirePart::text(rest));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_comes_back_as_an_image() {
        let text = format!("a {} b", to_text("image/png", "AA+/"));
        let parts = parts(&text);
        let texts: Vec<_> = parts.iter().filter_map(|part| part.text.as_deref()).collect();
        let blob = parts.iter().find_map(|part| part.inline_data.as_ref()).unwrap();
        assert_eq!(texts, ["a ", " b"]);
        assert_eq!((blob.mime_type.as_str(), blob.data.as_str()), ("image/png", "AA+/"));
    }

    #[test]
    fn any_other_text_stays_as_it_is() {
        for text in [
            "",
            "![image](https://x.test)",
            "![image](data:image/png;base64,AA",
            "![image](data:x)",
        ] {
            let parts = parts(text);
            assert_eq!((parts.len(), parts[0].text.as_deref()), (1, Some(text)));
        }
    }
}
