//! Answers a question for the number of tokens where the provider cannot: on a thread of its own, and
//! few at a time, for the machine is there to serve.

use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout_at};

use super::{super::select::Candidate, Answer, Call, Content, Failure};

/// Counts that run at the same time.
static COUNTING: Semaphore = Semaphore::const_new(2);

/// Estimates the tokens of a request.
pub async fn count(call: &Call, candidate: &Candidate) -> Result<Answer, Failure> {
    let target = &candidate.target;
    let permit = timeout_at(call.deadline, COUNTING.acquire());
    let permit = permit.await.map_err(|_| Failure::late(target, true))?;
    let (body, model) = (call.body.clone(), candidate.model.clone());
    let translator = candidate.translator;
    let counted = spawn_blocking(move || {
        let _permit = permit;
        translator.count(&body, &model)
    });
    let counted = counted.await.map_err(|error| Failure::malformed(target, error.to_string()))?;
    let whole = counted.map_err(|error| Failure::untranslatable(error.into()))?;
    let content = Content::Whole(whole);
    Ok(Answer { upstream_id: None, dropped: Vec::new(), content, flight: None })
}
