//! The candidate that serves a request, or that is being tried: whose price counts, and under which
//! names it is measured.

use std::sync::Arc;

use crate::{
    budget::NanoUsd,
    llm::{Endpoint, Usage},
    snapshot::{Model, Pattern, Provider, Route, Target, TargetModel},
    telemetry::metrics::TargetLabels,
};

use super::{super::select::Candidate, counts};

/// A candidate with all that its settlement needs.
pub struct Served {
    /// Its place among the request's candidates.
    pub index: usize,
    /// What was called.
    pub endpoint: Endpoint,
    /// By which route.
    pub route: Arc<Route>,
    /// The target.
    pub target: Arc<Target>,
    /// The model that it is asked for.
    pub model: Arc<str>,
    /// What is known of that model.
    pub terms: Model,
    /// How many pictures it is asked for.
    pub images: u64,
}

impl Served {
    /// A candidate that is about to be called.
    pub fn new(
        endpoint: Endpoint,
        route: &Arc<Route>,
        (index, candidate): (usize, &Candidate),
        images: u64,
    ) -> Self {
        Self {
            index,
            endpoint,
            route: Arc::clone(route),
            target: Arc::clone(&candidate.target),
            model: Arc::clone(&candidate.model),
            terms: candidate.terms.clone(),
            images,
        }
    }

    /// What so much costs at it; `None` without a price.
    pub fn cost(&self, usage: &Usage) -> Option<NanoUsd> {
        Some(self.terms.price.as_ref()?.cost(&counts(usage)))
    }

    /// The names of its series.
    pub fn labels(&self) -> TargetLabels<'_> {
        let provider = &self.target.provider;
        // The caller's own words become a label only where they are somebody's configuration.
        let configured = match &self.target.model {
            TargetModel::Fixed(_) => true,
            TargetModel::AsAsked | TargetModel::Star { .. } => {
                let model = &*self.model;
                let is_exact =
                    |pattern: &Pattern| matches!(pattern, Pattern::Exact(name) if name == model);
                provider.models.contains_key(model) || self.route.models.iter().any(is_exact)
            }
        };
        TargetLabels {
            route: (&self.route.name.namespace, &self.route.name.name),
            target: &self.target.name,
            operation: self.endpoint.operation(),
            provider: provider_name(provider),
            model: if configured { &self.model } else { "other" },
        }
    }
}

/// `gen_ai.provider.name` of the OpenTelemetry GenAI conventions.
pub fn provider_name(provider: &Provider) -> &'static str {
    match provider.kind {
        "OpenAI" => "openai",
        "Anthropic" => "anthropic",
        "OpenAICompatible" => "openai_compatible",
        "Ollama" => "ollama",
        "VLLM" => "vllm",
        "Mock" => "mock",
        "AzureOpenAI" => "azure.ai.openai",
        "Bedrock" => "aws.bedrock",
        "Gemini" => "gcp.gemini",
        "VertexAI" => "gcp.vertex_ai",
        "Cohere" => "cohere",
        "DeepSeek" => "deepseek",
        "Fireworks" => "fireworks",
        "Groq" => "groq",
        "Mistral" => "mistral_ai",
        "OpenRouter" => "openrouter",
        "Perplexity" => "perplexity",
        "Together" => "together",
        "XAI" => "x_ai",
        other => other,
    }
}
