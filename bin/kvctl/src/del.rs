//! `kvctl del`.

use kvorum_client::DeleteOptions;

use crate::args::{self, DelArgs};
use crate::exit::Failure;
use crate::output::{Write, print_written};
use crate::target::Target;

pub(crate) async fn run(target: &Target, del: DelArgs) -> Result<(), Failure> {
    let key = args::bytes(del.key);
    let options = DeleteOptions::new().level(del.write).context(del.context.unwrap_or_default());
    let options = options.consistency(del.counting.consistency());
    let deleted = target.client.delete_with(key.clone(), &options).await;
    let deleted = deleted.map_err(|error| Failure::of(&target.doing("delete", &key, "through"), &error))?;
    print_written(target.wants_json(), Write::Deleted, &key, &deleted)
}
