//! One server process: started by this run, or found alive from an earlier one.

use std::{
    fs, io,
    os::{fd::OwnedFd, unix::process::ExitStatusExt},
    path::Path,
    process::Stdio,
    thread,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};
use tokio::{
    process::{Child, Command},
    sync::oneshot,
};

use super::directory::Home;

/// A process that was alive when it was last looked at.
#[derive(Debug)]
pub(super) struct Process {
    pub pid: u32,
    /// Names the process for as long as this is open: its number may be another's later.
    handle: OwnedFd,
    whose: Whose,
}

#[derive(Debug)]
enum Whose {
    Child(Child),
    /// An earlier run started it; its end is told here.
    Found(oneshot::Receiver<()>),
}

impl Process {
    /// Starts a server; `None`: the one before, or a child of it that still saves, has not ended.
    pub fn start(program: &Path, home: &Home) -> io::Result<Option<Self>> {
        let Some(alive) = home.claim()? else { return Ok(None) };
        let log = fs::OpenOptions::new().append(true).create(true).open(home.log())?;
        // Signals of the terminal are for the operator, which stops the servers in their order.
        let child = Command::new(program)
            .arg(home.conf())
            .current_dir(&home.path)
            .stdin(Stdio::from(alive))
            .stdout(Stdio::from(log.try_clone()?))
            .stderr(Stdio::from(log))
            .process_group(0)
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", program.display())))?;
        let pid = child.id().ok_or_else(|| io::Error::other("it ended at once"))?;
        Ok(Some(Self { pid, handle: open(pid)?, whose: Whose::Child(child) }))
    }

    /// The server that lives in this home, if it can be found: it writes its process id soon after it starts.
    pub fn find(home: &Home) -> io::Result<Option<Self>> {
        let Ok(text) = fs::read_to_string(home.pid_file()) else { return Ok(None) };
        let Ok(pid) = text.trim().parse() else { return Ok(None) };
        let Ok(handle) = open(pid) else { return Ok(None) };
        // Looked at only after the handle was had, so that it is of the process that the handle names.
        let here = fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == home.path);
        if !here {
            return Ok(None);
        }
        let whose = Whose::Found(end_of(handle.try_clone()?)?);
        Ok(Some(Self { pid, handle, whose }))
    }

    /// Whether an earlier run started it.
    pub fn was_found(&self) -> bool {
        matches!(self.whose, Whose::Found(_))
    }

    /// Waits for its end; how it ended, for people. Can be dropped and called again.
    pub async fn ended(&mut self) -> String {
        let child = match &mut self.whose {
            Whose::Child(child) => child,
            Whose::Found(end) => {
                // However it was told: there is no other way.
                let _ = end.await;
                return "ended".into();
            }
        };
        match child.wait().await {
            Ok(status) => match (status.signal(), status.code()) {
                (Some(9), _) => "was killed (SIGKILL)".into(),
                (Some(signal), _) => format!("was ended by signal {signal}"),
                (None, Some(0)) => "ended".into(),
                (None, code) => format!("failed with status {}", code.unwrap_or(-1)),
            },
            Err(error) => format!("ended ({error})"),
        }
    }

    /// Asks it to save and end.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Ends it.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) {
        // It fails only where the process has ended, which is what was wanted.
        let _ = pidfd_send_signal(&self.handle, signal);
    }
}

fn open(pid: u32) -> io::Result<OwnedFd> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

/// Tells the end of a process that is no child: only a thread can wait for it without `unsafe`.
fn end_of(handle: OwnedFd) -> io::Result<oneshot::Receiver<()>> {
    let (tell, end) = oneshot::channel();
    thread::Builder::new().name("found".into()).spawn(move || {
        // The handle becomes readable when the process has ended.
        while poll(&mut [PollFd::new(&handle, PollFlags::IN)], None) == Err(Errno::INTR) {}
        let _ = tell.send(());
    })?;
    Ok(end)
}
