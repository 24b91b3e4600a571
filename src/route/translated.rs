//! What a candidate would be sent: the caller's request in its provider's dialect.

use http::{HeaderMap, HeaderName, StatusCode};

use crate::{
    llm::{
        ApiError, Dialect, Endpoint, ErrorKind, Peek, RequestError, Rewrite, UpstreamRequest,
        claude_on_vertex,
    },
    snapshot::{Addressing, Fidelity, Route, Target},
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

/// Whether a request is for those only that store answers: it goes on from one, and one of the
/// candidates stores them. Where none can, the first one says so.
pub fn goes_on<'a>(peek: &Peek, mut candidates: impl Iterator<Item = &'a Candidate>) -> bool {
    peek.previous_response.is_some() && candidates.any(stores)
}

/// What is wrong with a candidate that would not be told all parameters, on a route that wants every
/// one kept.
pub fn unfaithful(route: &Route, target: &Target, dropped: &[String]) -> Option<ApiError> {
    if route.fidelity != Fidelity::Strict || dropped.is_empty() {
        return None;
    }
    let message = format!(
        "target {} cannot take {}, and fidelity is Strict on this route: leave them out, or ask a \
         model whose provider has them",
        target.name,
        dropped.join(", ")
    );
    let (status, kind) = (StatusCode::BAD_REQUEST, ErrorKind::InvalidRequest);
    let mut error = ApiError::new(status, kind, "unsupported_parameters", message);
    error.param = dropped.first().cloned();
    Some(error)
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
