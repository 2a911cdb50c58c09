//! `swell-sim list`.

use clap::Args;
use groundswell_simulator::scenario::catalogue;

use super::{Failure, say, say_json};

#[derive(Args)]
pub(crate) struct List {
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
}

impl List {
    /// Prints every shipped story with its sentence.
    pub(crate) fn print(&self) -> Result<u8, Failure> {
        let stories: Vec<_> =
            catalogue::names().into_iter().filter_map(|name| catalogue::find(name, None)?.ok()).collect();
        if self.json {
            let list: Vec<_> = stories
                .iter()
                .map(|story| serde_json::json!({ "name": story.name, "about": story.about, "nodes": story.nodes }))
                .collect();
            say_json(&serde_json::json!({ "scenarios": list }));
            return Ok(0);
        }
        let width = stories.iter().map(|story| story.name.len()).max().unwrap_or(0);
        for story in stories {
            say(&format!("{:<width$}  {}", story.name, story.about));
        }
        Ok(0)
    }
}
