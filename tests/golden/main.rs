//! Golden cases: data files in, data files out. One module for each subject; the cases lie beside it.

#[cfg(test)]
mod translate;
