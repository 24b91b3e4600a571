//! Where the text of an answer comes from: Gemini's citations and grounding as canonical citations,
//! and back. Gemini counts bytes, the canonical form counts characters.

use super::wire::{
    WireCandidate, WireChunk, WireCitation, WireGrounding, WirePlace, WireSegment, WireSupport,
};
use crate::llm::chat::Citation;

/// The text so far of one answer, as far as bytes and characters differ in it: enough to convert
/// offsets without keeping the text.
#[derive(Debug, Default, Clone)]
pub struct Offsets {
    bytes: u64,
    /// For each character of several bytes: the offset after it, and the bytes beyond its first.
    wide: Vec<(u64, u64)>,
    /// Where each part of text begins, with its place among all parts.
    starts: Vec<(usize, u64)>,
}

impl Offsets {
    /// Text follows; `part` is its place among the parts of a whole answer.
    pub fn push(&mut self, part: usize, text: &str) {
        self.starts.push((part, self.bytes));
        let wide = text.char_indices().filter(|(_, c)| c.len_utf8() > 1);
        for (at, c) in wide {
            let extra = c.len_utf8() - 1;
            self.wide.push((self.bytes + (at + c.len_utf8()) as u64, extra as u64));
        }
        self.bytes += text.len() as u64;
    }

    fn characters(&self, bytes: u64) -> u64 {
        let before = self.wide.iter().take_while(|(end, _)| *end <= bytes);
        bytes.saturating_sub(before.map(|(_, extra)| extra).sum())
    }

    fn bytes(&self, characters: u64) -> u64 {
        let mut bytes = characters;
        for (end, extra) in &self.wide {
            // The first byte of this character, were it and all after it narrow.
            if end.saturating_sub(extra + 1) >= bytes {
                break;
            }
            bytes += extra;
        }
        bytes
    }

    fn start_of(&self, part: Option<usize>) -> u64 {
        let wanted = part.unwrap_or(0);
        self.starts.iter().find(|(at, _)| *at == wanted).map_or(0, |(_, start)| *start)
    }
}

/// The citations that a candidate names.
pub fn decode(candidate: &WireCandidate, offsets: &Offsets) -> Vec<Citation> {
    let recited = candidate.citation_metadata.iter().flat_map(|found| &found.citation_sources);
    let mut citations: Vec<Citation> =
        recited.map(|source| decode_recited(source, offsets)).collect();
    if let Some(grounding) = &candidate.grounding_metadata {
        decode_grounding(grounding, offsets, &mut citations);
    }
    citations
}

fn decode_recited(source: &WireCitation, offsets: &Offsets) -> Citation {
    let bounds = source.end_index.map(|end| (source.start_index.unwrap_or(0), end));
    Citation {
        url: source.uri.clone(),
        title: source.title.clone(),
        text: None,
        span: bounds.map(|(start, end)| (offsets.characters(start), offsets.characters(end))),
    }
}

fn decode_grounding(grounding: &WireGrounding, offsets: &Offsets, citations: &mut Vec<Citation>) {
    for support in &grounding.grounding_supports {
        let segment = &support.segment;
        let start = offsets.start_of(segment.part_index);
        let span = segment.end_index.map(|end| {
            let begin = start + segment.start_index.unwrap_or(0);
            (offsets.characters(begin), offsets.characters(start + end))
        });
        for index in &support.grounding_chunk_indices {
            let Some(place) = grounding.grounding_chunks.get(*index).and_then(place) else {
                continue;
            };
            citations.push(Citation {
                url: place.uri.clone(),
                title: place.title.clone(),
                text: segment.text.clone(),
                span,
            });
        }
    }
    if grounding.grounding_supports.is_empty() {
        let places = grounding.grounding_chunks.iter().filter_map(place);
        citations.extend(places.map(|place| Citation {
            url: place.uri.clone(),
            title: place.title.clone(),
            ..Citation::default()
        }));
    }
}

fn place(chunk: &WireChunk) -> Option<&WirePlace> {
    chunk.web.as_ref().or(chunk.retrieved_context.as_ref()).or(chunk.maps.as_ref())
}

/// Citations as grounding; `None`: there are none.
pub fn encode(citations: &[Citation], offsets: &Offsets) -> Option<WireGrounding> {
    let mut grounding = WireGrounding::default();
    for citation in citations {
        let chunk = WireChunk {
            web: Some(WirePlace { uri: citation.url.clone(), title: citation.title.clone() }),
            ..WireChunk::default()
        };
        let index = grounding.grounding_chunks.len();
        grounding.grounding_chunks.push(chunk);
        let segment = WireSegment {
            part_index: None,
            start_index: citation.span.map(|(start, _)| offsets.bytes(start)),
            end_index: citation.span.map(|(_, end)| offsets.bytes(end)),
            text: citation.text.clone(),
        };
        if segment.end_index.is_some() || segment.text.is_some() {
            let grounding_chunk_indices = vec![index];
            grounding.grounding_supports.push(WireSupport { segment, grounding_chunk_indices });
        }
    }
    (!grounding.grounding_chunks.is_empty()).then_some(grounding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_characters_and_characters_bytes() {
        let mut offsets = Offsets::default();
        let text = "aé🦀b é";
        for piece in ["aé", "🦀b", " é"] {
            offsets.push(0, piece);
        }
        for (characters, (bytes, _)) in text.char_indices().enumerate() {
            assert_eq!(offsets.characters(bytes as u64), characters as u64);
            assert_eq!(offsets.bytes(characters as u64), bytes as u64);
        }
        assert_eq!(offsets.bytes(6), text.len() as u64);
    }

    #[test]
    fn each_support_names_its_sources_and_its_place() {
        let json = r#"{"groundingMetadata": {
            "groundingChunks": [{"web": {"uri": "https://a.test", "title": "A"}},
                {"retrievedContext": {"uri": "gs://b", "title": "B"}}],
            "groundingSupports": [
                {"segment": {"partIndex": 2, "startIndex": 2, "endIndex": 4, "text": "xy"},
                    "groundingChunkIndices": [0, 1, 9]}]},
            "citationMetadata": {"citations": [{"startIndex": 0, "endIndex": 2, "uri": "u"}]}}"#;
        let candidate: WireCandidate = serde_json::from_str(json).unwrap();
        let mut offsets = Offsets::default();
        offsets.push(0, "é");
        offsets.push(2, "éxy");
        let citations = decode(&candidate, &offsets);
        let shown: Vec<_> = citations.iter().map(|it| (it.url.as_deref(), it.span)).collect();
        assert_eq!(
            shown,
            [
                (Some("u"), Some((0, 1))),
                (Some("https://a.test"), Some((2, 4))),
                (Some("gs://b"), Some((2, 4))),
            ]
        );
        let again = encode(&citations, &offsets).unwrap();
        let support = &again.grounding_supports[1].segment;
        assert_eq!((support.start_index, support.end_index), (Some(4), Some(6)));
    }

    #[test]
    fn sources_without_words_are_named_all_the_same() {
        let json = r#"{"groundingMetadata": {"groundingChunks": [{"web": {"uri": "u"}}]}}"#;
        let candidate: WireCandidate = serde_json::from_str(json).unwrap();
        let citations = decode(&candidate, &Offsets::default());
        assert_eq!(citations, [Citation { url: Some("u".to_owned()), ..Citation::default() }]);
        assert!(encode(&citations, &Offsets::default()).unwrap().grounding_supports.is_empty());
    }
}
