//! The binary as an operator runs it: a process of its own, an environment of its own, signals and exit codes.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::wait;

/// A command line that is yet to run. Of the environment it has only what it is given here.
#[derive(Debug)]
pub(crate) struct Binary(Command);

/// One that runs. Dropped: it is killed.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    stdout: Pipe,
    stderr: Pipe,
}

/// How one ended.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    /// The exit code; none where a signal ended it.
    pub(crate) code: Option<i32>,
    /// Data.
    pub(crate) stdout: String,
    /// What it told people.
    pub(crate) stderr: String,
}

/// Collects what a process writes while it writes it.
#[derive(Debug)]
struct Pipe {
    text: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Binary {
    /// `llm-gateway ARGUMENTS`, in an empty environment.
    pub(crate) fn new<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_llm-gateway"));
        command.args(arguments).env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command)
    }

    /// The same on a disk on which no file can grow beyond so many bytes, a multiple of 1024.
    pub(crate) fn with_small_files<A: AsRef<OsStr>>(bytes: u64, arguments: impl IntoIterator<Item = A>) -> Self {
        let mut command = Command::new("bash");
        // The signal would end it; ignored, writing fails, as on a disk that is full.
        let limited = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"", bytes / 1024);
        command.args(["-c", &limited, env!("CARGO_BIN_EXE_llm-gateway")]);
        command.args(arguments).env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command)
    }

    /// Sets one variable of its environment.
    pub(crate) fn env(mut self, name: impl AsRef<OsStr>, value: impl Into<OsString>) -> Self {
        self.0.env(name, value.into());
        self
    }

    /// Starts it, and returns at once.
    pub(crate) fn spawn(mut self) -> Running {
        let mut child = self.0.spawn().unwrap();
        let stdout = Pipe::collect(child.stdout.take().unwrap());
        let stderr = Pipe::collect(child.stderr.take().unwrap());
        Running { child, stdout, stderr }
    }

    /// Starts it, and blocks until it says where it listens.
    ///
    /// # Panics
    /// When it ends before that, with what it said.
    pub(crate) fn start(self) -> Running {
        let mut running = self.spawn();
        wait::block_until("the gateway to say where it listens", || {
            if let Some(status) = running.child.try_wait().unwrap() {
                panic!("the gateway ended with {status}: {}", running.stderr.finish());
            }
            running.listens_at()
        });
        running
    }

    /// Runs it to its end.
    pub(crate) fn run(self) -> Ended {
        self.spawn().wait()
    }
}

impl Running {
    /// Where callers reach it: `http://127.0.0.1:54321`.
    ///
    /// # Panics
    /// When it has not said so.
    pub(crate) fn url(&self) -> String {
        self.listens_at().expect("the gateway has not said where it listens")
    }

    /// The most memory that it ever held, in bytes (`VmHWM` in `/proc`).
    ///
    /// # Panics
    /// When it has ended.
    pub(crate) fn peak_memory(&self) -> usize {
        self.status_kib("VmHWM:") * 1024
    }

    /// How long its threads have worked.
    ///
    /// # Panics
    /// When it has ended.
    pub(crate) fn worked(&self) -> Duration {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let nanoseconds = threads.filter_map(|thread| {
            // One that has just ended is not there any more. proc(5): the first number is the time on a processor.
            let schedule = std::fs::read_to_string(thread.unwrap().path().join("schedstat")).ok()?;
            schedule.split(' ').next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(nanoseconds.sum())
    }

    /// What it told people so far.
    pub(crate) fn stderr(&self) -> String {
        self.stderr.so_far()
    }

    /// Asks it to end, as an operator's supervisor does.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Blocks until it has ended by itself.
    ///
    /// # Panics
    /// When it goes on for longer than a test should take.
    pub(crate) fn wait(mut self) -> Ended {
        let status: ExitStatus = wait::block_until("the gateway's process to end", || self.child.try_wait().unwrap());
        Ended { code: status.code(), stdout: self.stdout.finish(), stderr: self.stderr.finish() }
    }

    fn status_kib(&self, name: &str) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("it has ended");
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    fn listens_at(&self) -> Option<String> {
        let said = self.stderr.so_far();
        let (_, rest) = said.split_once("listening on ")?;
        let (url, _) = rest.split_once('\n')?;
        Some(url.to_owned())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail where it has ended already, which is as well.
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Pipe {
    fn collect(from: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let written = Arc::clone(&text);
        let reader = std::thread::spawn(move || {
            let mut from = BufReader::new(from);
            let mut line = Vec::new();
            while from.read_until(b'\n', &mut line).unwrap() > 0 {
                written.lock().unwrap_or_else(PoisonError::into_inner).push_str(&String::from_utf8_lossy(&line));
                line.clear();
            }
        });
        Self { text, reader: Some(reader) }
    }

    fn so_far(&self) -> String {
        self.text.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn finish(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        self.so_far()
    }
}
