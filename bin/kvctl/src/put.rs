//! `kvctl put`.

use std::io::Read;

use kvorum_client::{Bytes, PutOptions};

use crate::args::{self, PutArgs};
use crate::exit::{Exit, Failure};
use crate::output::{Write, print_written};
use crate::target::Target;

/// No cluster takes a value of this length: what is longer is not even read.
const LONGEST_VALUE: u64 = 2 * 1024 * 1024;

pub(crate) async fn run(target: &Target, put: PutArgs) -> Result<(), Failure> {
    let key = args::bytes(put.key);
    let value = if put.value == "-" { read_stdin().await? } else { args::bytes(put.value) };
    let options = PutOptions::new().level(put.write).ttl(put.ttl).context(put.context.unwrap_or_default());
    let options = options.consistency(put.counting.consistency());
    let options = if put.no_ttl { options.forever() } else { options };
    let written = target.client.put_with(key.clone(), value, &options).await;
    let written = written.map_err(|error| Failure::of(&target.doing("put", &key, "through"), &error))?;
    print_written(target.wants_json(), Write::Stored, &key, &written)
}

async fn read_stdin() -> Result<Bytes, Failure> {
    let read = tokio::task::spawn_blocking(|| {
        let mut value = Vec::new();
        std::io::stdin().lock().take(LONGEST_VALUE + 1).read_to_end(&mut value).map(|_| value)
    });
    let value = match read.await {
        Ok(Ok(value)) => value,
        Ok(Err(error)) => {
            return Err(Failure::other(format!("cannot read the value from standard input: {error}")));
        }
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    };
    if value.len() as u64 > LONGEST_VALUE {
        let message = "cannot put the value from standard input: it is longer than 2 MiB; split it";
        return Err(Failure::new(Exit::Refused, message));
    }
    Ok(value.into())
}
