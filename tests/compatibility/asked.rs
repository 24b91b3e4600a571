//! Requests: what becomes of each feature on its way to each provider, by the provider's native bytes.

use bytes::Bytes;
use serde_json::Value;
use sluice::llm::{
    ApiError, Called, Endpoint, RequestError, Rewrite, Translator, UpstreamRequest, peek,
};

use crate::data::{FEATURES, Feature, INGRESSES, Ingress, Probes, UPSTREAMS, Upstream, VARIANTS};
use crate::matching::matches;

/// What became of a feature.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The bytes pass as they are.
    Same,
    /// The native request has it.
    Carried,
    /// It has it, but these are named as lost.
    InPart(Vec<String>),
    /// It has not, and these are named.
    Dropped(Vec<String>),
    /// The request is refused with a 400 that says so.
    Refused(String),
    /// The caller's dialect has no such thing, because of this.
    Unsayable(String),
}

/// One cell of the matrix.
pub struct Cell {
    pub ingress: &'static Ingress,
    pub upstream: &'static Upstream,
    pub feature: &'static Feature,
    pub outcome: Outcome,
    /// The caller's request.
    pub asked: Value,
    /// The provider's request.
    pub sent: Option<Value>,
}

impl Cell {
    /// How a fault names it.
    pub fn name(&self) -> String {
        name(self.ingress, self.upstream, self.feature)
    }
}

fn name(ingress: &Ingress, upstream: &Upstream, feature: &Feature) -> String {
    let Probes { title, model, .. } = &upstream.probes;
    format!("{} from {} to {title} ({model})", feature.id, ingress.requests.title)
}

/// Every cell of the dialects, and what is wrong with some.
pub fn all() -> (Vec<Cell>, Vec<String>) {
    of(&UPSTREAMS)
}

/// Every cell of other models.
pub fn variants() -> (Vec<Cell>, Vec<String>) {
    of(&VARIANTS)
}

fn of(upstreams: &'static [Upstream]) -> (Vec<Cell>, Vec<String>) {
    let (mut cells, mut faults) = (Vec::new(), Vec::new());
    for ingress in INGRESSES.iter() {
        for feature in &FEATURES.asked {
            for upstream in upstreams {
                match cell(ingress, upstream, feature) {
                    Ok(cell) => cells.push(cell),
                    Err(fault) => {
                        faults.push(format!("{}: {fault}", name(ingress, upstream, feature)));
                    }
                }
            }
        }
    }
    (cells, faults)
}

fn cell(
    ingress: &'static Ingress,
    upstream: &'static Upstream,
    feature: &'static Feature,
) -> Result<Cell, String> {
    let cell = |outcome, asked, sent| Cell { ingress, upstream, feature, outcome, asked, sent };
    let asked = match ingress.requests.of(&feature.id) {
        Ok(asked) => asked,
        Err(reason) => return Ok(cell(Outcome::Unsayable(reason.to_owned()), Value::Null, None)),
    };
    let translator = Translator::new(ingress.endpoint, upstream.dialect.alone()).unwrap();
    let stands_for_its_dialect = UPSTREAMS.iter().any(|known| std::ptr::eq(known, upstream));
    if translator.is_passthrough() && !stands_for_its_dialect {
        // What another model makes of a native request is the caller's own affair.
        return Ok(cell(Outcome::Same, asked, None));
    }
    match send(translator, &asked, &upstream.probes.model) {
        Ok(request) => {
            let sent: Value = serde_json::from_slice(&request.body).unwrap();
            let probe = upstream.probes.probes.get(&feature.id).expect("a probe for each feature");
            let outcome = match translator.is_passthrough() {
                true => passed(&asked, &sent, &request, probe)?,
                false => judge(feature, probe, &sent, request.dropped)?,
            };
            Ok(cell(outcome, asked, Some(sent)))
        }
        Err(error) => {
            let error = ApiError::from(error);
            if error.status != 400 || error.param.is_none() {
                return Err(format!("refused without a field: {error:?}"));
            }
            Ok(cell(Outcome::Refused(error.message), asked, None))
        }
    }
}

/// Translates as the proxy does.
pub fn send(
    translator: Translator,
    asked: &Value,
    model: &str,
) -> Result<UpstreamRequest, RequestError> {
    let body = Bytes::from(asked.to_string());
    let in_path = translator.endpoint() == Endpoint::GenerateContent;
    let called = Called {
        model: in_path.then(|| "asked".into()),
        stream: in_path.then_some(false),
        ..Called::from(translator.endpoint())
    };
    let peeked = peek(&called, &body).unwrap();
    let rewrite = Rewrite { model, parameters: None, default_max_tokens: None };
    translator.request(&body, &peeked, &rewrite)
}

/// In its own dialect a request passes as it is; that it has what the probe wants proves the probe.
fn passed(
    asked: &Value,
    sent: &Value,
    request: &UpstreamRequest,
    probe: &Value,
) -> Result<Outcome, String> {
    let mut expected = asked.clone();
    if let (Some(model), Some(named)) = (sent.get("model"), expected.get_mut("model")) {
        *named = model.clone();
    }
    if expected != *sent || !request.dropped.is_empty() {
        return Err(format!("does not pass as it is: {sent}, dropped {:?}", request.dropped));
    }
    if probe.is_object() && !matches(sent, probe) {
        return Err(format!("the probe finds nothing in a native request: {sent}"));
    }
    Ok(Outcome::Same)
}

fn judge(
    feature: &Feature,
    probe: &Value,
    sent: &Value,
    dropped: Vec<String>,
) -> Result<Outcome, String> {
    if let Some(foreign) = dropped.iter().find(|name| !feature.named.contains(name)) {
        return Err(format!("\"{foreign}\" is named as dropped, which is another thing: {sent}"));
    }
    match (probe.is_object() && matches(sent, probe), dropped.is_empty()) {
        (true, true) => Ok(Outcome::Carried),
        (true, false) => Ok(Outcome::InPart(dropped)),
        (false, false) => Ok(Outcome::Dropped(dropped)),
        (false, true) => Err(format!("LOST SILENTLY: {sent}")),
    }
}
