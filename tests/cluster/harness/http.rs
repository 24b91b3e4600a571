//! A small blocking HTTP/1.1 client for tests: one request a connection, whole or as a stream.
//! It must stay independent of the HTTP code under test.
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Header names in lower case, with their values, in order.
    pub headers: Vec<(String, String)>,
    /// The body, with chunked framing taken off.
    pub body: Vec<u8>,
}

impl Response {
    /// The first value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// With the text when it is none.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {}", self.text()))
    }
}

/// An answer whose head has been read and whose body is still coming.
#[derive(Debug)]
pub struct Stream {
    /// The status code.
    pub status: u16,
    /// Header names in lower case, with their values, in order.
    pub headers: Vec<(String, String)>,
    body: BufReader<Body>,
}

impl Stream {
    /// The next line without its end; `None` at the end of the body.
    ///
    /// # Errors
    /// When the connection is cut before the body's end, or is silent for 60 s.
    pub fn next_line(&mut self) -> io::Result<Option<String>> {
        let mut line = String::new();
        if self.body.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        Ok(Some(line.trim_end_matches(['\r', '\n']).to_owned()))
    }

    /// The data of the next server-sent event line (`data: ...`); `None` at the end.
    ///
    /// # Errors
    /// As [`Stream::next_line`].
    pub fn next_data(&mut self) -> io::Result<Option<String>> {
        while let Some(line) = self.next_line()? {
            if let Some(data) = line.strip_prefix("data:") {
                return Ok(Some(data.trim_start().to_owned()));
            }
        }
        Ok(None)
    }

    /// Reads what is left.
    ///
    /// # Errors
    /// As [`Stream::next_line`].
    pub fn finish(mut self) -> io::Result<Response> {
        let mut body = Vec::new();
        self.body.read_to_end(&mut body)?;
        Ok(Response { status: self.status, headers: self.headers, body })
    }
}

/// GET, read to the end.
///
/// # Errors
/// When the connection fails or the answer is not HTTP.
pub fn get(url: &str) -> io::Result<Response> {
    open("GET", url, &[], "")?.finish()
}

/// POST of JSON with a bearer key, read to the end.
///
/// # Errors
/// As [`get`].
pub fn post(url: &str, key: &str, json: &str) -> io::Result<Response> {
    open_post(url, key, json)?.finish()
}

/// POST of JSON with a bearer key, the body left to be read line by line.
///
/// # Errors
/// As [`get`].
pub fn open_post(url: &str, key: &str, json: &str) -> io::Result<Stream> {
    let bearer = format!("Bearer {key}");
    open("POST", url, &[("authorization", &bearer), ("content-type", "application/json")], json)
}

/// Sends a request to `http://HOST:PORT/PATH` and reads the answer's head.
///
/// # Errors
/// As [`get`].
pub fn open(method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> io::Result<Stream> {
    let rest = url.strip_prefix("http://").ok_or_else(|| invalid("not an http:// URL"))?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut connection = TcpStream::connect(authority)?;
    connection.set_read_timeout(Some(READ_TIMEOUT))?;
    let mut head = format!("{method} /{path} HTTP/1.1\r\nhost: {authority}\r\n");
    head.push_str(&format!("connection: close\r\ncontent-length: {}\r\n", body.len()));
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    connection.write_all(format!("{head}\r\n{body}").as_bytes())?;
    read_head(BufReader::new(connection))
}

fn read_head(mut connection: BufReader<TcpStream>) -> io::Result<Stream> {
    let line = read_crlf(&mut connection)?;
    let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| invalid(&format!("not a status line: {line:?}")))?;
    let mut headers = Vec::new();
    loop {
        let line = read_crlf(&mut connection)?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or_else(|| invalid("header without colon"))?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let framing = match find(&headers, "content-length").and_then(|value| value.parse().ok()) {
        Some(left) => Framing::Length { left },
        None if find(&headers, "transfer-encoding") == Some("chunked") => {
            Framing::Chunked { left: 0, first: true }
        }
        None => Framing::UntilClose,
    };
    Ok(Stream { status, headers, body: BufReader::new(Body { connection, framing }) })
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

fn read_crlf(from: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    if from.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

#[derive(Debug)]
enum Framing {
    Length { left: u64 },
    Chunked { left: u64, first: bool },
    UntilClose,
    Ended,
}

/// The body's bytes without their framing; a cut before the end is an error.
#[derive(Debug)]
struct Body {
    connection: BufReader<TcpStream>,
    framing: Framing,
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.enter_chunk()?;
        let left = match &mut self.framing {
            Framing::Ended | Framing::Length { left: 0 } => return Ok(0),
            Framing::UntilClose => return self.connection.read(buffer),
            Framing::Length { left } | Framing::Chunked { left, .. } => left,
        };
        let most = buffer.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
        let count = self.connection.read(&mut buffer[..most])?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        *left -= count as u64;
        Ok(count)
    }
}

impl Body {
    /// Reads the size line of the next chunk where one is due.
    fn enter_chunk(&mut self) -> io::Result<()> {
        let Framing::Chunked { left: 0, first } = self.framing else { return Ok(()) };
        if !first {
            read_crlf(&mut self.connection)?;
        }
        let line = read_crlf(&mut self.connection)?;
        let digits = line.split(';').next().unwrap_or_default().trim();
        let left = u64::from_str_radix(digits, 16).map_err(|_| invalid("bad chunk size"))?;
        self.framing =
            if left == 0 { Framing::Ended } else { Framing::Chunked { left, first: false } };
        Ok(())
    }
}
