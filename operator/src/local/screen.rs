//! What people see: a table that is redrawn in place where standard output is a terminal, one line for each event where
//! it is a pipe. A thread of its own writes, so that a terminal that stands still does not hold up a failover.

use std::{
    collections::VecDeque,
    fmt::Write as _,
    io::{self, IsTerminal, Write},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use jiff::Zoned;
use tokio::{
    sync::{oneshot, watch},
    time::timeout,
};

use super::report::{HEAD, Row, View};

/// How often the table is drawn anew at most.
const FRAME: Duration = Duration::from_millis(100);
/// How many events are shown below the table.
const EVENTS: usize = 8;
/// How long the last lines may take to be written.
const FAREWELL: Duration = Duration::from_secs(1);

/// The screen.
#[derive(Debug)]
pub(super) struct Screen {
    pen: Pen,
    ended: oneshot::Receiver<()>,
}

/// Writes on the screen, without waiting for it.
#[derive(Clone, Debug)]
pub(super) struct Pen {
    lines: mpsc::Sender<String>,
    view: watch::Sender<Option<View>>,
    /// Whether standard output is a terminal.
    table: bool,
}

impl Pen {
    /// Says that something happened, now.
    pub fn say(&self, text: impl Into<String>) {
        let text: String = text.into();
        tracing::info!("{text}");
        // It fails only when nobody reads any more, which ends the run.
        let _ = self.lines.send(format!("{} {text}", Zoned::now().strftime("%H:%M:%S%.3f")));
    }

    /// Says how to connect and what to try; a table shows it all the time.
    pub fn introduce(&self, hints: &[String]) {
        if !self.table {
            hints.iter().for_each(|hint| self.say(hint));
        }
    }

    /// Shows how things are.
    pub fn show(&self, view: View) {
        self.view.send_if_modified(|shown| {
            let other = shown.as_ref() != Some(&view);
            *shown = Some(view);
            other
        });
    }
}

impl Screen {
    /// Begins to write to standard output.
    pub fn start() -> io::Result<Self> {
        let (lines, said) = mpsc::channel();
        let (view, shown) = watch::channel(None);
        let (end, ended) = oneshot::channel();
        let table = io::stdout().is_terminal();
        let writer: Box<dyn FnOnce() -> io::Result<()> + Send> =
            if table { Box::new(move || Table::new(shown).run(&said)) } else { Box::new(move || print(&said)) };
        thread::Builder::new().name("screen".into()).spawn(move || {
            if let Err(error) = writer() {
                tracing::info!("nobody reads what is said: {error}");
            }
            let _ = end.send(());
        })?;
        Ok(Self { pen: Pen { lines, view, table }, ended })
    }

    pub fn pen(&self) -> Pen {
        self.pen.clone()
    }

    /// Says that something happened, now.
    pub fn say(&self, text: impl Into<String>) {
        self.pen.say(text);
    }

    /// Waits until nobody reads any more.
    pub async fn closed(&mut self) {
        let _ = (&mut self.ended).await;
    }

    /// Writes what is left to be written. All other pens must be gone.
    pub async fn end(self) {
        drop(self.pen);
        // One that stands still is not waited for.
        if !self.ended.is_terminated() {
            let _ = timeout(FAREWELL, self.ended).await;
        }
    }
}

fn print(said: &mpsc::Receiver<String>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for line in said {
        writeln!(out, "{line}")?;
        out.flush()?;
    }
    Ok(())
}

/// The table in a terminal.
struct Table {
    view: watch::Receiver<Option<View>>,
    events: VecDeque<String>,
    /// How many lines stand below the cursor's first line.
    drawn: usize,
    size: (usize, usize),
    coloured: bool,
}

impl Table {
    fn new(view: watch::Receiver<Option<View>>) -> Self {
        let coloured = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { view, events: VecDeque::new(), drawn: 0, size: (0, 0), coloured }
    }

    fn run(mut self, said: &mpsc::Receiver<String>) -> io::Result<()> {
        loop {
            let mut changed = self.view.has_changed().unwrap_or(false);
            let ended = match said.recv_timeout(FRAME) {
                Ok(line) => {
                    self.note(line);
                    while let Ok(line) = said.try_recv() {
                        self.note(line);
                    }
                    changed = true;
                    false
                }
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => true,
            };
            if changed || ended {
                self.draw()?;
            }
            if ended {
                return Ok(());
            }
        }
    }

    fn note(&mut self, line: String) {
        self.events.push_back(line);
        if self.events.len() > EVENTS {
            self.events.pop_front();
        }
    }

    fn draw(&mut self) -> io::Result<()> {
        let size = rustix::termios::tcgetwinsize(io::stdout())
            .map_or((80, 24), |size| (usize::from(size.ws_col).max(20), usize::from(size.ws_row).max(4)));
        let view = self.view.borrow_and_update().clone();
        let mut lines = view.as_ref().map(compose).unwrap_or_default();
        lines.extend(self.events.iter().map(|event| Line::plain(event.clone())));
        lines.truncate(size.1 - 1);
        let mut out = String::new();
        if std::mem::replace(&mut self.size, size) != size && self.drawn > 0 {
            // What was drawn may have been wrapped.
            out.push_str("\x1b[2J\x1b[H");
        } else if self.drawn > 0 {
            _ = write!(out, "\x1b[{}A\r", self.drawn);
        }
        for line in &lines {
            let text: String = line.text.chars().take(size.0).collect();
            match line.style.filter(|_| self.coloured) {
                Some(style) => _ = writeln!(out, "\x1b[2K\x1b[{style}m{text}\x1b[0m"),
                None => _ = writeln!(out, "\x1b[2K{text}"),
            }
        }
        out.push_str("\x1b[J");
        self.drawn = lines.len();
        let mut terminal = io::stdout().lock();
        terminal.write_all(out.as_bytes())?;
        terminal.flush()
    }
}

/// A line of the table with its style: the number of the terminal's escape sequence.
#[derive(Debug, PartialEq)]
struct Line {
    text: String,
    style: Option<u8>,
}

const BOLD: u8 = 1;
const FAINT: u8 = 2;
const GREEN: u8 = 32;
const YELLOW: u8 = 33;

impl Line {
    fn plain(text: String) -> Self {
        Self { text, style: None }
    }

    fn styled(text: String, style: u8) -> Self {
        Self { text, style: Some(style) }
    }
}

fn compose(view: &View) -> Vec<Line> {
    let title = format!("{}  clients at {}  epoch {}  {}", view.name, view.listen, view.epoch, view.phase);
    let mut lines = vec![Line::styled(title, BOLD), Line::plain(String::new())];
    lines.extend(table(&view.rows));
    lines.push(Line::plain(String::new()));
    lines.extend(view.troubles.iter().map(|trouble| Line::styled(trouble.clone(), YELLOW)));
    lines.extend(view.failovers.iter().map(|failover| Line::plain(failover.clone())));
    lines.extend(view.hints.iter().map(|hint| Line::styled(hint.clone(), FAINT)));
    lines.push(Line::plain(String::new()));
    lines
}

/// The rows in columns, as wide as their widest cell.
fn table(rows: &[Row]) -> Vec<Line> {
    let head = HEAD.map(str::to_owned);
    let widths: Vec<usize> = (0..HEAD.len())
        .map(|column| {
            let cells = rows.iter().map(|row| &row.cells).chain([&head]);
            cells.filter_map(|cells| cells.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let line = |cells: &[String]| {
        let mut text = String::new();
        for (cell, width) in cells.iter().zip(&widths) {
            _ = write!(text, "{cell:<width$}  ");
        }
        text.trim_end().to_owned()
    };
    let rows = rows.iter().map(|row| match (row.primary, row.well) {
        (true, true) => Line::styled(line(&row.cells), GREEN),
        (_, true) => Line::plain(line(&row.cells)),
        (_, false) => Line::styled(line(&row.cells), YELLOW),
    });
    [Line::styled(line(&head), FAINT)].into_iter().chain(rows).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let cells = ["pair-0", "primary", "-", "123456789", "-", "6380", "17"].map(str::to_owned);
        let lines = table(&[Row { cells, primary: true, well: true }]);
        assert_eq!(lines[0].text, "INSTANCE  ROLE     LINK  OFFSET     LAG  PORT  PID");
        assert_eq!(lines[1].text, "pair-0    primary  -     123456789  -    6380  17");
        assert_eq!(lines[1].style, Some(GREEN));
    }
}
