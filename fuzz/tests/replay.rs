//! Replays every committed input through its target.

use std::fs;
use std::path::Path;

use lanparty_fuzz::TARGETS;

#[test]
fn every_committed_input_is_still_good() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");

    for (name, target) in TARGETS {
        let mut inputs = 0;
        for entry in
            fs::read_dir(corpora.join(name)).unwrap_or_else(|_| panic!("no folder corpus/{name}"))
        {
            let path = entry.unwrap().path();
            let input = fs::read(&path).unwrap();
            // The name of the input is what a failure needs to tell.
            println!("{}", path.display());
            target(&input);
            // Cut short at every length, too: parsers fail at ends.
            (0..input.len().min(512)).for_each(|len| target(&input[..len]));
            inputs += 1;
        }
        assert!(
            inputs > 0,
            "corpus/{name} is empty: commit at least one input"
        );
    }
}

#[test]
fn every_corpus_has_a_target_and_every_target_a_program() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));

    for entry in fs::read_dir(folder.join("corpus")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            TARGETS.iter().any(|(target, _)| *target == name),
            "corpus/{name} belongs to no target"
        );
    }
    for (name, _) in TARGETS {
        assert!(
            folder.join(format!("fuzz_targets/{name}.rs")).is_file(),
            "{name} has no program"
        );
    }
}
