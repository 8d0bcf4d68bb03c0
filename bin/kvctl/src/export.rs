//! `kvctl export`: all pairs, page by page. How a line is written is in `format.rs`, how a file comes
//! to be whole in `partial.rs`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use kvorum_client::{Page, Scan, ScanOptions};
use serde::Serialize;

use crate::args::ExportArgs;
use crate::exit::{Exit, Failure, verdict};
use crate::format::Format;
use crate::partial::{Mark, Partial};
use crate::progress::{Progress, print_summary};
use crate::target::Target;

/// A page that fails is asked for so many times, each with the timeout of a request; the first one once, for an export
/// that cannot begin should say so at once.
const PAGE_ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);
/// How much is written between two marks, and so at most is read again.
const MARK_BYTES: u64 = 8 * 1024 * 1024;

/// Where the lines go.
enum Sink {
    /// Standard output, or something that is no regular file.
    Stream(Box<dyn Write>),
    File {
        partial: Partial,
        marked: u64,
    },
}

struct Export<'a> {
    target: &'a Target,
    format: Format,
    name: String,
    sink: Sink,
    progress: Progress,
    /// Keys of which the format could not carry everything.
    expiry_lost: u64,
    siblings_lost: u64,
}

#[derive(Debug, Serialize)]
struct JsonExported {
    exported: u64,
    bytes: u64,
    seconds: f64,
    file: String,
}

pub(crate) async fn run(target: &Target, args: ExportArgs) -> Result<(), Failure> {
    let file = args.file.filter(|file| file != Path::new("-"));
    if args.resume && file.is_none() {
        return Err(Failure::new(Exit::Usage, "standard output cannot be resumed; name a file"));
    }
    let format = Format::of(args.format, file.as_deref());
    let name = file.as_ref().map_or_else(|| "standard output".into(), |file| file.display().to_string());
    let opened = Sink::open(file.as_ref(), args.resume);
    let (sink, mark) = opened.map_err(|error| Failure::writing(&name, &error))?;
    if mark.as_ref().is_some_and(|mark| !mark.fits(&target.keyspace, format)) {
        let message = format!(
            "cannot go on with {name}: that was an export of another keyspace or in another format; \
             leave --resume away"
        );
        return Err(Failure::new(Exit::Usage, message));
    }
    let mut export =
        Export { target, format, name, sink, progress: Progress::new(None), expiry_lost: 0, siblings_lost: 0 };
    (export.progress.pairs, export.progress.bytes) = mark.as_ref().map_or((0, 0), |mark| (mark.pairs, mark.carried));
    let from = mark.as_ref().and_then(Mark::cursor);
    let mut scan = target.client.scan(ScanOptions::new().level(args.read).from(from));
    let result = export.copy(&mut scan).await;
    export.progress.clear();
    result?;
    export.finish()
}

impl Sink {
    fn open(file: Option<&PathBuf>, resume: bool) -> io::Result<(Sink, Option<Mark>)> {
        let Some(file) = file else {
            return Ok((Sink::Stream(Box::new(io::stdout().lock())), None));
        };
        // A pipe or a device cannot be replaced by a file.
        if file.metadata().is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir()) {
            let stream = std::fs::OpenOptions::new().write(true).open(file)?;
            return Ok((Sink::Stream(Box::new(stream)), None));
        }
        let (partial, mark) = Partial::open(file, resume)?;
        let marked = partial.written();
        Ok((Sink::File { partial, marked }, mark))
    }
}

impl Export<'_> {
    async fn copy(&mut self, scan: &mut Scan) -> Result<(), Failure> {
        let mut lines = Vec::new();
        let mut attempts = 1;
        while let Some(page) = self.next_page(scan, attempts).await? {
            attempts = PAGE_ATTEMPTS;
            lines.clear();
            self.lines(&page, &mut lines);
            let written = match &mut self.sink {
                Sink::Stream(stream) => stream.write_all(&lines),
                Sink::File { partial, .. } => partial.write(&lines),
            };
            written.map_err(|error| Failure::writing(&self.name, &error))?;
            self.mark(scan, MARK_BYTES)?;
        }
        Ok(())
    }

    async fn next_page(&mut self, scan: &mut Scan, attempts: u32) -> Result<Option<Page>, Failure> {
        let mut attempt = 1;
        loop {
            let error = match scan.next_page().await {
                Ok(page) => return Ok(page),
                Err(error) => error,
            };
            if verdict(&error).0 == Exit::Unavailable && attempt < attempts {
                attempt += 1;
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            let what = format!("export from {} to {}", self.target.endpoints, self.name);
            self.mark(scan, 1)?;
            return Err(match (&self.sink, Failure::of(&what, &error)) {
                (Sink::File { partial, .. }, Failure::Said(exit, message)) => {
                    let path = partial.path().display();
                    Failure::new(exit, format!("{message}; what came is in {path}, --resume goes on with it"))
                }
                (_, failure) => failure,
            });
        }
    }

    fn lines(&mut self, page: &Page, lines: &mut Vec<u8>) {
        for row in &page.rows {
            let loss = self.format.write(row, lines);
            self.expiry_lost += u64::from(loss.expiry);
            self.siblings_lost += u64::from(loss.siblings);
            if !row.versions.is_empty() {
                let values: usize = row.versions.iter().map(|version| version.value.len()).sum();
                self.progress.arrived((row.key.len() + values) as u64);
            }
        }
    }

    /// Remembers where the export stands if so much was written since it was last remembered.
    fn mark(&mut self, scan: &Scan, least: u64) -> Result<(), Failure> {
        let Sink::File { partial, marked } = &mut self.sink else { return Ok(()) };
        let Some(cursor) = scan.cursor() else { return Ok(()) };
        if partial.written() - *marked < least {
            return Ok(());
        }
        let mark = Mark {
            cursor: cursor.to_string(),
            bytes: partial.written(),
            pairs: self.progress.pairs,
            carried: self.progress.bytes,
            keyspace: self.target.keyspace.clone(),
            format: self.format.to_string(),
        };
        *marked = mark.bytes;
        partial.mark(&mark).map_err(|error| Failure::writing(&self.name, &error))
    }

    fn finish(mut self) -> Result<(), Failure> {
        let is_file = matches!(self.sink, Sink::File { .. });
        let finished = match &mut self.sink {
            Sink::Stream(stream) => stream.flush(),
            Sink::File { .. } => Ok(()),
        };
        let finished = match self.sink {
            Sink::File { partial, .. } => finished.and_then(|()| partial.finish()),
            Sink::Stream(_) => finished,
        };
        finished.map_err(|error| Failure::writing(&self.name, &error))?;
        for (count, what) in [(self.expiry_lost, "an expiry"), (self.siblings_lost, "concurrent values")] {
            if count > 0 {
                let message = format!("{count} keys have {what}, which tsv does not carry; use --format jsonl");
                self.progress.complain(&message);
            }
        }
        let summary = self.progress.summary();
        let text = format!("exported {}", summary.text());
        let json = self.target.wants_json().then_some(JsonExported {
            exported: summary.pairs,
            bytes: summary.bytes,
            seconds: summary.seconds,
            file: self.name.clone(),
        });
        print_summary(&text, json.as_ref(), is_file)
    }
}
