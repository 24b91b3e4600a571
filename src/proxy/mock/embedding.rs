//! Embeddings of the Mock provider: vectors of length one, drawn from a hash of the input. They say
//! whether two inputs are equal, and nothing about what they mean.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::answer::input_tokens;
use super::behaviour::Behaviour;
use super::request::EmbeddingRequest;

/// The answer to a request for embeddings.
pub fn answer(request: &EmbeddingRequest, behaviour: &Behaviour) -> Bytes {
    let inputs = request.inputs();
    let mut body = json!({"object": "list", "model": request.model}).to_string();
    body.pop();
    if !behaviour.without_usage {
        let tokens = input_tokens(inputs.iter().map(String::len).sum());
        let usage = json!({"prompt_tokens": tokens, "total_tokens": tokens});
        body.push_str(&format!(",\"usage\":{usage}"));
    }
    // Each vector is written before the next is drawn: as values they take thrice the room.
    body.push_str(",\"data\":[");
    for (index, input) in inputs.iter().enumerate() {
        let vector = unit_vector(input, request.dimensions());
        let item =
            json!({"object": "embedding", "index": index, "embedding": written(&vector, request)});
        body.push_str(if index > 0 { "," } else { "" });
        body.push_str(&item.to_string());
    }
    body.push_str("]}");
    Bytes::from(body)
}

fn written(vector: &[f32], request: &EmbeddingRequest) -> Value {
    if request.is_base64() {
        let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
        return Value::String(STANDARD.encode(bytes));
    }
    json!(vector)
}

/// Numbers in -1..1 by SplitMix64 (Steele, Lea, Flood 2014) seeded by the input's hash, scaled to
/// length one.
fn unit_vector(input: &str, dimensions: usize) -> Vec<f32> {
    let hash = Sha256::digest(input.as_bytes());
    let mut state = hash.iter().take(8).fold(0u64, |seed, byte| seed << 8 | u64::from(*byte));
    let mut next = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        // 24 bits, one half added: exact in 32-bit floats and never zero.
        let bits = ((mixed ^ (mixed >> 31)) >> 40) as f32 + 0.5;
        bits / (1u32 << 23) as f32 - 1.0
    };
    let raw: Vec<f32> = (0..dimensions).map(|_| next()).collect();
    let length = raw.iter().map(|number| f64::from(*number).powi(2)).sum::<f64>().sqrt();
    raw.iter().map(|number| (f64::from(*number) / length) as f32).collect()
}
