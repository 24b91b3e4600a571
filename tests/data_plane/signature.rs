//! Signature Version 4 checked from the receiver's side, from what came over the socket alone. Written
//! after AWS's own description ("Create a signed AWS API request") and without the library that signs.

use std::fmt::Write as _;

use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest as _, Sha256};

use crate::upstream::Received;

/// All but what RFC 3986 (2.3) calls unreserved.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// How far the two clocks may be apart, in seconds.
const SKEW: i64 = 300;

/// What a request must be signed with.
#[derive(Clone, Copy)]
pub struct Signer<'a> {
    pub key: &'a str,
    pub secret: &'a str,
    pub region: &'a str,
}

/// Why AWS would refuse a request at this time: the kind of its error.
pub fn fault(request: &Received, signer: Signer<'_>, now: Timestamp) -> Option<&'static str> {
    let Some(authorization) = request.header("authorization") else {
        return Some("MissingAuthenticationTokenException");
    };
    let fields = authorization.strip_prefix("AWS4-HMAC-SHA256 ").unwrap_or_default();
    let field = |name: &str| {
        let fields = fields.split(", ").filter_map(|field| field.split_once('='));
        fields.into_iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    };
    let date = request.header("x-amz-date").unwrap_or_default();
    let day = date.get(..8).unwrap_or_default();
    let scope = format!("{day}/{}/bedrock/aws4_request", signer.region);
    if field("Credential") != format!("{}/{scope}", signer.key) {
        return Some("UnrecognizedClientException");
    }
    let said = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", date).ok();
    let said = said.and_then(|said| said.to_zoned(jiff::tz::TimeZone::UTC).ok());
    if said.is_none_or(|said| (said.timestamp().as_second() - now.as_second()).abs() > SKEW) {
        return Some("InvalidSignatureException");
    }
    let names: Vec<&str> = field("SignedHeaders").split(';').collect();
    let needs = ["host", "x-amz-date"];
    let unsigned = request.headers.iter().any(|(name, _)| {
        let must = name == "content-type" || name.starts_with("x-amz-");
        must && !names.contains(&name.as_str())
    });
    if unsigned || !needs.iter().all(|name| names.contains(name)) {
        return Some("IncompleteSignatureException");
    }
    let canonical = canonical(request, &names);
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
    let mut key = format!("AWS4{}", signer.secret).into_bytes();
    for part in [day, signer.region, "bedrock", "aws4_request"] {
        key = hmac(&key, part.as_bytes());
    }
    let expected = hex(&hmac(&key, text.as_bytes()));
    (field("Signature") != expected).then_some("InvalidSignatureException")
}

fn canonical(request: &Received, names: &[&str]) -> String {
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    // The path that was sent is encoded once more, but for its slashes: everywhere but in S3.
    let path: Vec<_> =
        path.split('/').map(|part| utf8_percent_encode(part, UNRESERVED).to_string()).collect();
    let mut pairs: Vec<_> = query.split('&').filter(|pair| !pair.is_empty()).collect();
    pairs.sort_unstable();
    let headers: String = names
        .iter()
        .map(|name| format!("{name}:{}\n", request.header(name).unwrap_or_default().trim()))
        .collect();
    let body = hex(&Sha256::digest(&request.body));
    let (method, path, query) = (&request.method, path.join("/"), pairs.join("&"));
    format!("{method}\n{path}\n{query}\n{headers}\n{}\n{body}", names.join(";"))
}

/// RFC 2104 with SHA-256.
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut block = [0_u8; 64];
    match key.len() {
        0..=64 => block[..key.len()].copy_from_slice(key),
        _ => block[..32].copy_from_slice(&Sha256::digest(key)),
    }
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(text);
    let outer = Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c));
    outer.chain_update(inner.finalize()).finalize().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

#[test]
fn hmac_agrees_with_the_examples_of_rfc_4231() {
    let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    assert_eq!(hex(&hmac(b"Jefe", b"what do ya want for nothing?")), expected);
    let expected = "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54";
    let text = b"Test Using Larger Than Block-Size Key - Hash Key First";
    assert_eq!(hex(&hmac(&[0xaa; 131], text)), expected);
}
