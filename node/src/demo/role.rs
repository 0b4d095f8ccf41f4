//! A party of the demonstration: the zknode program, run as a process of its own with a home of its own.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{bail, ensure, Context};
use serde::de::DeserializeOwned;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    sync::mpsc::{unbounded_channel, UnboundedReceiver},
};
use zknode_protocol::value::Address;

use crate::{output::Answer, progress::Progress};

/// A home, a password, a name to say things under.
pub struct Role {
    name: &'static str,
    home: PathBuf,
    password: PathBuf,
    program: PathBuf,
    progress: Progress,
}

impl Role {
    /// A party with a fresh account in a folder of its own under `folder`.
    pub async fn new(
        name: &'static str,
        program: &Path,
        folder: &Path,
        progress: Progress,
    ) -> anyhow::Result<(Self, Address)> {
        use rand::RngCore;
        let mut secret = [0; 16];
        rand::rngs::OsRng.fill_bytes(&mut secret);
        let password = folder.join(format!("{name}.password"));
        crate::home::write_new(&password, hex::encode(secret).as_bytes())?;
        let role = Self {
            name,
            home: folder.join(name),
            password,
            program: program.into(),
            progress,
        };
        #[derive(serde::Deserialize)]
        struct Account {
            address: Address,
        }
        let (account, _): (Account, _) = role.run(["account", "new"]).await?;
        Ok((role, account.address))
    }

    /// Its files.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The program with what all its commands take.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg("--json")
            .arg("--home")
            .arg(&self.home)
            .arg("--password-file")
            .arg(&self.password)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Runs a command to its end: its answer, and whether that was yes.
    pub async fn run<T: DeserializeOwned>(
        &self,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> anyhow::Result<(T, Answer)> {
        let mut running = self.start(arguments)?;
        let mut last = None;
        while let Some(line) = running.lines.next_line().await? {
            last = Some(line);
        }
        let status = running.process.wait().await?;
        // All it said is repeated before it is judged.
        while running.words.recv().await.is_some() {}
        let answer = match status.code() {
            Some(0) => Answer::Yes,
            Some(1) => Answer::No,
            _ => bail!("the {} failed ({status}), see above", self.name),
        };
        let last = last.with_context(|| format!("the {} answered nothing", self.name))?;
        let value = serde_json::from_str(&last)
            .with_context(|| format!("the {}'s answer is not understood: {last}", self.name))?;
        Ok((value, answer))
    }

    /// Starts a command that tells, line by line, what happens.
    pub fn start(
        &self,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> anyhow::Result<Running> {
        let mut process = self
            .command()
            .args(arguments)
            .spawn()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        let output = process.stdout.take().context("no output")?;
        let words = process.stderr.take().context("no error output")?;
        Ok(Running {
            name: self.name,
            lines: BufReader::new(output).lines(),
            words: say(self.name, words, self.progress),
            process,
        })
    }
}

/// Repeats what a process says, under its name.
fn say(
    name: &'static str,
    words: impl AsyncRead + Unpin + Send + 'static,
    progress: Progress,
) -> UnboundedReceiver<String> {
    let (sender, receiver) = unbounded_channel();
    let mut lines = BufReader::new(words).lines();
    tokio::spawn(async move {
        while let Ok(Some(line)) = lines.next_line().await {
            progress.say(format!("{name:>6} | {line}"));
            // Whoever waits for no word has dropped the other end.
            let _ = sender.send(line);
        }
    });
    receiver
}

/// A command under way; killed when dropped.
pub struct Running {
    name: &'static str,
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
    words: UnboundedReceiver<String>,
}

impl Running {
    /// The next thing it tells.
    pub async fn next<T: DeserializeOwned>(&mut self) -> anyhow::Result<T> {
        let line = self.lines.next_line().await?;
        let line = line.with_context(|| format!("the {} ended, see above", self.name))?;
        serde_json::from_str(&line)
            .with_context(|| format!("the {}'s line is not understood: {line}", self.name))
    }

    /// Waits until it says something with `words` in it.
    pub async fn until_it_says(&mut self, words: &str) -> anyhow::Result<()> {
        while let Some(line) = self.words.recv().await {
            if line.contains(words) {
                return Ok(());
            }
        }
        bail!("the {} ended without saying {words:?}", self.name)
    }

    /// Ends it, at once and without warning.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        let early = self.process.try_wait()?;
        ensure!(
            early.is_none(),
            "the {} ended by itself, see above",
            self.name
        );
        self.process.kill().await?;
        Ok(())
    }
}
