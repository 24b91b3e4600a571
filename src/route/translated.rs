//! What a candidate would be sent: the caller's request in its provider's dialect.

use http::{HeaderMap, HeaderName};

use crate::{
    llm::{Dialect, Endpoint, Peek, RequestError, Rewrite, UpstreamRequest, claude_on_vertex},
    snapshot::Addressing,
};

use super::Candidate;

/// Features that a caller of Anthropic's asks for.
pub const ANTHROPIC_BETA: HeaderName = HeaderName::from_static("anthropic-beta");

/// Whether a candidate is not asked to count tokens: Vertex AI counts for Claude in another place.
pub fn cannot_count(endpoint: Endpoint, candidate: &Candidate) -> bool {
    endpoint == Endpoint::CountTokens && candidate.target.provider.addressing == Addressing::Vertex
}

/// Whether a candidate takes a request as it came, with the conversation that it names: where one can,
/// only those are asked.
pub fn stores(candidate: &Candidate) -> bool {
    candidate.translator.upstream() == Dialect::Responses
}

/// The request as the candidate's provider takes it, and what it cannot take.
///
/// # Errors
/// If the request says something that the provider's dialect has no words for.
pub fn translate(
    candidate: &Candidate,
    headers: &HeaderMap,
    (body, peek): (&bytes::Bytes, &Peek),
) -> Result<UpstreamRequest, RequestError> {
    let rewrite = Rewrite {
        model: &candidate.model,
        parameters: candidate.target.parameters.as_ref(),
        default_max_tokens: candidate.terms.assumed_output(),
    };
    let mut translated = candidate.translator.request(body, peek, &rewrite)?;
    for betas in headers.get_all(ANTHROPIC_BETA) {
        if let Ok(betas) = betas.to_str() {
            candidate.translator.add_betas(&mut translated, &candidate.model, betas);
        }
    }
    let on_vertex = candidate.target.provider.addressing == Addressing::Vertex;
    if on_vertex && candidate.translator.upstream() == Dialect::Anthropic {
        translated.body = claude_on_vertex::body(&translated.body)?;
    }
    Ok(translated)
}
