//! Every row of the mapping, both ways.

mod answers;
mod requests;
mod streams;
