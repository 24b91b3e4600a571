//! Vectors as numbers and as base64, read from either and written as either. Numbers are kept as 32-bit
//! floats, which is what models compute with.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};

/// One vector.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Vector(pub Vec<f32>);

/// Several vectors as they are read.
pub type Vectors = Vec<Vector>;

impl Vector {
    /// Base64 of little-endian 32-bit floats (OpenAI's API reference, "Embeddings").
    pub fn to_base64(&self) -> String {
        let bytes: Vec<u8> = self.0.iter().flat_map(|number| number.to_le_bytes()).collect();
        STANDARD.encode(bytes)
    }

    /// Reads what [`Self::to_base64`] wrote.
    fn from_base64(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text).ok()?;
        let (numbers, rest) = bytes.as_chunks::<4>();
        let read = || Self(numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect());
        rest.is_empty().then(read)
    }
}

impl Serialize for Vector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.0)
    }
}

impl<'de> Deserialize<'de> for Vector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(VectorVisitor)
    }
}

struct VectorVisitor;

impl<'de> Visitor<'de> for VectorVisitor {
    type Value = Vector;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of numbers or base64 of 32-bit floats")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Vector, E> {
        Vector::from_base64(text).ok_or_else(|| E::custom("not base64 of 32-bit floats"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vector, A::Error> {
        let mut numbers = Vec::with_capacity(seq.size_hint().unwrap_or(1536));
        while let Some(number) = seq.next_element()? {
            numbers.push(number);
        }
        Ok(Vector(numbers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_is_the_same_as_numbers_and_as_base64() {
        let vector = Vector(vec![0.5, -1.25, 3.0e-5]);
        let numbers = serde_json::to_string(&vector).unwrap();
        let text = serde_json::to_string(&vector.to_base64()).unwrap();
        assert_eq!(vector.to_base64(), "AAAAPwAAoL+CqPs3");
        for written in [numbers, text] {
            assert_eq!(serde_json::from_str::<Vector>(&written).unwrap(), vector, "{written}");
        }
    }

    #[test]
    fn what_is_no_vector_is_refused() {
        for wrong in [r#""AAAA""#, r#""***""#, r#"["a"]"#, "{}", "1"] {
            assert!(serde_json::from_str::<Vector>(wrong).is_err(), "{wrong}");
        }
    }
}
