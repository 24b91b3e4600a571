//! Histories of Responses: reasoning of other makers, and ids that no server knows.

use memchr::memmem;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Edit, Names, TAG, THINKING, drop_as, has, list, members};

/// What the gateway's ids of items begin with.
const PREFIXES: [&str; 4] = ["\"rs_", "\"msg_", "\"fc_", "\"ctc_"];

/// Whether a proof may be tagged or an id be the gateway's.
pub fn is_marked(body: &[u8]) -> bool {
    let is_own = |at: usize| {
        let rest = body.get(at + 1..).unwrap_or_default();
        let end = memchr::memchr(b'"', rest).unwrap_or_default();
        rest.get(..end).is_some_and(is_minted)
    };
    let has_own = |prefix: &&str| memmem::find_iter(body, prefix.as_bytes()).any(is_own);
    has(body, "\"sluice.") || PREFIXES.iter().any(has_own)
}

/// Ids that are made of an answer's end in the item's place in it; those of providers have no such end.
fn is_minted(id: &[u8]) -> bool {
    let mut pieces = id.rsplit(|byte| *byte == b'_');
    let is_place =
        |piece: &[u8]| (1..=3).contains(&piece.len()) && piece.iter().all(u8::is_ascii_digit);
    pieces.next().is_some_and(is_place) && pieces.count() >= 2
}

/// Edits a request.
pub fn edit(body: &RawValue, dropped: Names<'_>) -> Edit {
    members(body, |name, value| match name {
        "input" => match list(value, |item| edit_item(item, dropped)) {
            // What it was is left to the provider to refuse.
            Edit::Remove => Edit::Write("[]".to_owned()),
            edit => edit,
        },
        _ => Edit::Keep,
    })
}

fn edit_item(raw: &RawValue, dropped: Names<'_>) -> Edit {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Item {
        #[serde(rename = "type")]
        kind: String,
        id: Option<String>,
        encrypted_content: Option<String>,
    }
    let item: Item = serde_json::from_str(raw.get()).unwrap_or_default();
    let is_minted = item.id.is_some_and(|id| is_minted(id.as_bytes()));
    let proof = item.encrypted_content.unwrap_or_default();
    match item.kind.as_str() {
        "reasoning" if proof.starts_with(TAG) || (proof.is_empty() && is_minted) => {
            drop_as(THINKING, dropped)
        }
        "item_reference" => Edit::Keep,
        _ if is_minted => members(raw, |name, _| match name {
            "id" => Edit::Remove,
            _ => Edit::Keep,
        }),
        _ => Edit::Keep,
    }
}
