//! What people and scripts see. stdout carries results, stderr progress and errors; text from
//! outside is escaped here, at the last moment, wherever it goes to a terminal.

use std::io::{self, IsTerminal as _};
use std::sync::OnceLock;

use midwatch_api::view::ResultLine;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Serialize;

pub(crate) mod approvals;
pub(crate) mod ending;
pub(crate) mod escape;
pub(crate) mod kept;
pub(crate) mod lines;
pub(crate) mod live;
pub(crate) mod narrow;
pub(crate) mod quantity;
pub(crate) mod wrap;

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// JSON lines for scripts, the last one of type `result`.
    Json,
    /// What `apply` takes; only for get and describe.
    Yaml,
}

/// What a terminal is used for, where there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Terminal {
    /// Everything.
    Whole,
    /// No colours: `NO_COLOR` is set (<https://no-color.org>).
    Plain,
    /// Lines and nothing else: `TERM` says that it can do no more.
    Dumb,
}

impl Terminal {
    /// What the environment says of it.
    pub(crate) fn of_environment() -> Self {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        match (set("TERM").is_some_and(|term| term == "dumb"), set("NO_COLOR")) {
            (true, _) => Self::Dumb,
            (false, Some(_)) => Self::Plain,
            (false, None) => Self::Whole,
        }
    }
}

/// The two ends of this process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    /// How results are written.
    pub(crate) format: Format,
    /// stderr is a terminal: progress is live there.
    pub(crate) live: bool,
    colour_out: bool,
    colour_err: bool,
}

/// Colours by meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ink {
    /// As it should be.
    Good,
    /// As it should not be.
    Bad,
    /// To be looked at.
    Notable,
    /// Less important.
    Faint,
    /// More important.
    Strong,
}

impl Output {
    /// Looks at the ends.
    pub(crate) fn new(format: Format, terminal: Terminal) -> Self {
        let (out, err) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        let colour = terminal == Terminal::Whole;
        let live = err && terminal != Terminal::Dumb;
        Self { format, live, colour_out: out && colour, colour_err: err && colour }
    }

    /// The same ends, with results written in another way.
    pub(crate) fn written_as(self, format: Format) -> Self {
        Self { format, ..self }
    }

    /// Whether results are JSON lines.
    pub(crate) fn is_json(self) -> bool {
        self.format == Format::Json
    }

    /// Columns of the terminal that results go to; none where they go elsewhere.
    #[expect(clippy::unused_self, reason = "an end of this process is reached through here only")]
    pub(crate) fn columns(self) -> Option<usize> {
        if !io::stdout().is_terminal() {
            return None;
        }
        let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
        (size.ws_col > 0).then(|| size.ws_col.into())
    }

    /// Lines of progress or error for people, escaped.
    #[expect(clippy::unused_self, reason = "an end of this process is reached through here only")]
    pub(crate) fn say(self, text: &str) {
        write_err(&escape::text(text));
    }

    /// The same with a coloured first word.
    pub(crate) fn say_marked(self, ink: Ink, mark: &str, text: &str) {
        let mark = paint(self.colour_err, ink, &escape::line(mark));
        write_err(&format!("{mark} {}", escape::text(text)));
    }

    /// Lines of a result for people, escaped.
    #[expect(clippy::unused_self, reason = "as above")]
    pub(crate) fn tell(self, text: &str) {
        write_out(&escape::text(text));
    }

    /// A result that a program is to read, every byte as it is.
    #[expect(clippy::unused_self, reason = "as above")]
    pub(crate) fn tell_raw(self, text: &str) {
        use io::Write as _;
        let mut out = io::stdout().lock();
        if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            LOST.get_or_init(|| error);
        }
    }

    /// Text of ours with colours in it; parts from outside were escaped before.
    #[expect(clippy::unused_self, reason = "as above")]
    pub(crate) fn tell_painted(self, text: &str) {
        write_out(text);
    }

    /// Colours a word for stdout.
    pub(crate) fn paint(self, ink: Ink, word: &str) -> String {
        paint(self.colour_out, ink, word)
    }

    /// One JSON line on stdout.
    pub(crate) fn json(self, value: &impl Serialize) {
        match serde_json::to_string(value) {
            Ok(line) => write_out(&escape::json(&line)),
            Err(error) => self.say(&format!("a result could not be written as JSON: {error}")),
        }
    }

    /// The result line of a refusal, where scripts wait for one, and the refusal for people.
    pub(crate) fn refuse(self, problem: &crate::problem::Problem, task: Option<&str>) {
        self.say_marked(Ink::Bad, "error:", &problem.message);
        if let Some(hint) = &problem.hint {
            self.say_marked(Ink::Faint, "next: ", hint);
        }
        if self.is_json() {
            let line: ResultLine = problem.line(task);
            self.json(&line);
        }
    }
}

fn paint(colour: bool, ink: Ink, word: &str) -> String {
    use owo_colors::OwoColorize as _;
    if !colour {
        return word.to_owned();
    }
    match ink {
        Ink::Good => word.green().to_string(),
        Ink::Bad => word.red().bold().to_string(),
        Ink::Notable => word.yellow().to_string(),
        Ink::Faint => word.dimmed().to_string(),
        Ink::Strong => word.bold().to_string(),
    }
}

/// What became of stdout, when it took something no more.
static LOST: OnceLock<io::Error> = OnceLock::new();

/// Nobody reads stdout any more, as in `midwatch logs -f fix | head`.
pub(crate) fn reader_is_gone() -> bool {
    LOST.get().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) || is_broken()
}

/// The same before anything more is written: a pipe with no reader is in error, and a socket or
/// terminal hung up.
fn is_broken() -> bool {
    let stdout = io::stdout();
    let mut looked = [PollFd::new(&stdout, PollFlags::empty())];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    let gone = PollFlags::ERR | PollFlags::HUP;
    poll(&mut looked, Some(&at_once)).is_ok() && looked[0].revents().intersects(gone)
}

/// Why a part of the result is lost, when that is an error: a full disk is one, a reader who has
/// seen enough is not.
pub(crate) fn lost() -> Option<&'static io::Error> {
    LOST.get().filter(|error| error.kind() != io::ErrorKind::BrokenPipe)
}

fn write_out(line: &str) {
    if let Err(error) = write(&mut io::stdout().lock(), line) {
        LOST.get_or_init(|| error);
    }
}

/// What is for people only is lost without a word: there is no other place to say it.
fn write_err(line: &str) {
    let _ = write(&mut io::stderr().lock(), line);
}

fn write(to: &mut impl io::Write, line: &str) -> io::Result<()> {
    writeln!(to, "{line}").and_then(|()| to.flush())
}
