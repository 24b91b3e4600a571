//! The caller's side: one content (`embedContent`) or several (`batchEmbedContents`), one vector each.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::llm::codec::{Dropped, is_neutral, member};
use crate::llm::embeddings::{
    EmbeddingIngress, EmbeddingInput, EmbeddingRequest, EmbeddingResponse, EmbeddingTask, Vector,
};
use crate::llm::error::RequestError;
use crate::llm::gemini::wire::WireContent;
use crate::llm::members::{Member, Members};
use crate::llm::translate::ResponseContext;

/// The codec of `embedContent`.
pub struct GeminiEmbedContent;

/// The codec of `batchEmbedContents`.
pub struct GeminiBatchEmbedContents;

/// One content and what its vector is for.
#[derive(Default)]
struct Embed {
    text: Option<String>,
    task: Option<EmbeddingTask>,
    title: Option<String>,
    dimensions: Option<u64>,
}

impl EmbeddingIngress for GeminiEmbedContent {
    fn decode_request(
        &self,
        body: &[u8],
        dropped: &mut Dropped,
    ) -> Result<EmbeddingRequest, RequestError> {
        let Members(members) = Members::parse(body)?;
        let Embed { text, task, title, dimensions } = embed(members, dropped)?;
        let inputs = text.into_iter().map(EmbeddingInput::Text).collect::<Vec<_>>();
        if inputs.is_empty() {
            let message = "\"content\" is missing or empty: give it a part with a text";
            return Err(RequestError::field("content", message));
        }
        Ok(EmbeddingRequest { inputs, task, title, dimensions, ..EmbeddingRequest::default() })
    }

    fn encode_response(&self, response: &EmbeddingResponse, _: &ResponseContext) -> Vec<u8> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Answer<'a> {
            embedding: Embedding<'a>,
            #[serde(skip_serializing_if = "Option::is_none")]
            usage_metadata: Option<UsageMetadata>,
        }
        let none = Vector::default();
        let values = response.vectors.first().unwrap_or(&none);
        let usage_metadata = usage(response);
        serde_json::to_vec(&Answer { embedding: Embedding { values }, usage_metadata })
            .unwrap_or_default()
    }

    fn name_of<'a>(&self, parameter: &'a str) -> &'a str {
        if parameter == "input" { "content" } else { name_of(parameter) }
    }
}

impl EmbeddingIngress for GeminiBatchEmbedContents {
    fn decode_request(
        &self,
        body: &[u8],
        dropped: &mut Dropped,
    ) -> Result<EmbeddingRequest, RequestError> {
        let Members(members) = Members::parse(body)?;
        let mut embeds = Vec::new();
        for Member { name, value } in members {
            match &*name {
                "requests" => embeds = requests(value, dropped)?,
                "model" => {}
                _ if is_neutral(&name, value) => {}
                _ => dropped.add(name),
            }
        }
        together(embeds, dropped)
    }

    fn encode_response(&self, response: &EmbeddingResponse, _: &ResponseContext) -> Vec<u8> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Answer<'a> {
            embeddings: Vec<Embedding<'a>>,
            #[serde(skip_serializing_if = "Option::is_none")]
            usage_metadata: Option<UsageMetadata>,
        }
        let embeddings = response.vectors.iter().map(|values| Embedding { values }).collect();
        let usage_metadata = usage(response);
        serde_json::to_vec(&Answer { embeddings, usage_metadata }).unwrap_or_default()
    }

    fn name_of<'a>(&self, parameter: &'a str) -> &'a str {
        if parameter == "input" { "requests" } else { name_of(parameter) }
    }
}

#[derive(Serialize)]
struct Embedding<'a> {
    values: &'a Vector,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UsageMetadata {
    prompt_token_count: u64,
}

fn usage(response: &EmbeddingResponse) -> Option<UsageMetadata> {
    response.usage.map(|usage| UsageMetadata { prompt_token_count: usage.input })
}

/// Gemini's name of a parameter that OpenAI's dialect has under another.
fn name_of(parameter: &str) -> &str {
    match parameter {
        "input_type" => "taskType",
        "dimensions" => "outputDimensionality",
        other => other,
    }
}

fn requests(value: &RawValue, dropped: &mut Dropped) -> Result<Vec<Embed>, RequestError> {
    let wrong = || RequestError::field("requests", "\"requests\" must be a list of objects");
    let list: Option<Vec<Members<'_>>> = serde_json::from_str(value.get()).map_err(|_| wrong())?;
    let list = list.unwrap_or_default().into_iter();
    list.map(|Members(members)| embed(members, dropped)).collect()
}

fn embed(members: Vec<Member<'_>>, dropped: &mut Dropped) -> Result<Embed, RequestError> {
    let mut embed = Embed::default();
    for Member { name, value } in members {
        match &*name {
            // It must be the path's.
            "model" => {}
            "content" => embed.text = text(member(&name, value)?.unwrap_or_default())?,
            "taskType" | "task_type" => {
                let word: Option<String> = member(&name, value)?;
                let word = word.filter(|word| word != "TASK_TYPE_UNSPECIFIED");
                embed.task = word.as_deref().and_then(EmbeddingTask::parse);
                if word.is_some() && embed.task.is_none() {
                    dropped.add("taskType");
                }
            }
            "title" => embed.title = member(&name, value)?,
            "outputDimensionality" | "output_dimensionality" => {
                embed.dimensions = member(&name, value)?;
            }
            _ if is_neutral(&name, value) => {}
            _ => dropped.add(name),
        }
    }
    Ok(embed)
}

/// The text of a content. All of its parts make one vector.
fn text(content: WireContent) -> Result<Option<String>, RequestError> {
    let parts = content.parts.unwrap_or_default();
    let mut texts = Vec::with_capacity(parts.len());
    for part in parts {
        let text = part.text.ok_or_else(|| {
            let message = "\"content\" has a part that is no text, and this model's provider embeds \
                           texts only";
            RequestError::unsupported("content", "unsupported_content", message)
        })?;
        texts.push(text);
    }
    Ok(Some(texts.join("\n")).filter(|text| !text.is_empty()))
}

/// Contents of one request to a provider, which takes one task and one length for all.
fn together(embeds: Vec<Embed>, dropped: &mut Dropped) -> Result<EmbeddingRequest, RequestError> {
    let Some(Embed { task, title, dimensions, .. }) = embeds.first() else {
        let message = "\"requests\" is missing or empty: give at least one";
        return Err(RequestError::field("requests", message));
    };
    let (task, title, dimensions) = (*task, title.clone(), *dimensions);
    for (is_same, name) in [
        (embeds.iter().all(|embed| embed.task == task), "taskType"),
        (embeds.iter().all(|embed| embed.dimensions == dimensions), "outputDimensionality"),
    ] {
        if !is_same {
            let message = format!(
                "\"requests\" differ in \"{name}\", of which this model's provider takes one for all: \
                 send those with another in a request of their own"
            );
            return Err(RequestError::unsupported("requests", "unsupported_parameter", message));
        }
    }
    let has_one_title = embeds.iter().all(|embed| embed.title == title);
    if !has_one_title {
        dropped.add("title");
    }
    let inputs = embeds.into_iter().enumerate().map(|(at, embed)| {
        embed.text.map(EmbeddingInput::Text).ok_or_else(|| {
            let message = format!("\"requests\" has no text in element {at}: give it one");
            RequestError::field("requests", message)
        })
    });
    let inputs = inputs.collect::<Result<_, _>>()?;
    let title = title.filter(|_| has_one_title);
    Ok(EmbeddingRequest { inputs, task, title, dimensions, ..EmbeddingRequest::default() })
}
