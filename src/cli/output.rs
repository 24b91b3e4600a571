//! How results are printed: as a table for people, as JSON or YAML for programs.

use std::io::{ErrorKind, Write as _};

use serde::Serialize;

/// A form of a command's result.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum Output {
    Table,
    Json,
    Yaml,
}

impl Output {
    /// Prints a result to the standard output. `table` is its form for people, with its last line's end.
    ///
    /// # Errors
    /// If it cannot be written. A reader who has seen enough is no error.
    pub(super) fn print<T: Serialize + ?Sized>(
        self,
        result: &T,
        table: impl FnOnce(&T) -> String,
    ) -> anyhow::Result<()> {
        let text = match self {
            Self::Table => table(result),
            Self::Json => serde_json::to_string_pretty(result)? + "\n",
            Self::Yaml => serde_saphyr::to_string(&result)?,
        };
        match std::io::stdout().write_all(text.as_bytes()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            written => Ok(written?),
        }
    }
}
