//! Sluice: a Kubernetes-native AI gateway. One process reconciles custom resources and serves traffic.
//!
//! # The map
//!
//! | module | owns |
//! |---|---|
//! | [`api`] | the kinds as users write them: spec, status, schema, CEL rules |
//! | [`providers`] | the table of OpenAI-compatible providers: data, no code |
//! | [`manifest`], [`schema`] | manifests as text, and the verdict of the API server without one |
//! | [`source`] | where objects come from: a cluster's watches, or a folder |
//! | [`compile`] | objects to a snapshot and one verdict per object; pure |
//! | [`snapshot`] | the immutable configuration that one request sees |
//! | [`llm`] | dialects, translators, usage, errors; pure |
//! | [`credential`] | identities of clouds: tokens, kept fresh; signatures |
//! | [`budget`] | money, prices, windows, the ledger; time is injected |
//! | [`price`] | the built-in price table, lists laid over it, forms of a model's name |
//! | [`route`] | choosing a target: health, speed, limits and sessions; time is injected |
//! | [`proxy`] | the data plane: from an accepted connection to an answer |
//! | [`controller`] | rebuild and publish; status, Lease, Events |
//! | [`usage`], [`state`] | what requests have used, added up; the folder where that is kept |
//! | [`telemetry`], [`admin`] | logs, metrics, records; the admin port |
//! | [`config`], [`runtime`], [`cli`] | the process: its settings, its tasks, its commands |
//!
//! # The arrows
//!
//! `api <- compile -> snapshot <- proxy`: what a user wrote and what a request sees never meet but in
//! `compile`. Nothing that a request touches knows Kubernetes; nothing that reconciles knows HTTP. The
//! test suite `architecture` holds the table of who may use whom.
//!
//! # Reading order
//!
//! A manifest's way: [`api`], [`source`], [`compile()`](compile::compile), [`controller`]. A request's
//! way: [`proxy`], whose pipeline names the phases in their order.

pub mod admin;
pub mod api;
pub mod budget;
pub mod cli;
pub mod compile;
pub mod config;
pub mod controller;
pub mod credential;
pub mod llm;
pub mod manifest;
pub mod price;
pub mod providers;
pub mod proxy;
pub mod route;
pub mod runtime;
pub mod schema;
pub mod snapshot;
pub mod source;
pub mod state;
pub mod telemetry;
pub mod usage;
