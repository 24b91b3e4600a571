//! The family of providers that speak OpenAI's chat completions, as one table of data: what a type is
//! called, what `kubectl explain` says about it, where it is, and in what it differs.
//!
//! Adding a provider is one row. The API's enum, the compiler and the tests all expand this table; it
//! holds no code and uses no other module.
//!
//! A row: the type, its documentation, its default base URL ("" where it has none and `endpoint` or
//! `service` is required), and its quirks: names of the functions of `llm::Quirks` that return a
//! changed set. Sources of the quirks: the providers' API references and their SDKs' request types.

/// Calls the macro named `$expand` with every row of the table, after whatever else it is given.
macro_rules! openai_compatible {
    ($expand:ident $(, $given:tt)*) => {
        $expand! {
            $($given)*
            DeepSeek, "DeepSeek's API.", "https://api.deepseek.com/v1",
                [max_tokens, system_only];
            Fireworks, "Fireworks AI's API.", "https://api.fireworks.ai/inference/v1",
                [max_tokens, system_only];
            Groq, "Groq's API.", "https://api.groq.com/openai/v1", [];
            // Its requests are written in a dialect of its own.
            Mistral, "Mistral's API.", "https://api.mistral.ai/v1", [];
            OpenAICompatible, "Any server that speaks OpenAI's chat completions.", "", [];
            OpenRouter, "OpenRouter's API.", "https://openrouter.ai/api/v1", [];
            Perplexity, "Perplexity's API.", "https://api.perplexity.ai",
                [max_tokens, system_only, usage_unasked];
            Together, "Together AI's API.", "https://api.together.xyz/v1",
                [max_tokens, system_only];
            VLLM, "vLLM's OpenAI-compatible server.", "", [];
            XAI, "xAI's API.", "https://api.x.ai/v1",
                [reasoning_beside_output];
        }
    };
}
pub(crate) use openai_compatible;
