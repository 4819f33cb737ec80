//! The report of a doctor: one line for each question, in the same words for every program.

use std::fmt;
use std::io::{self, Write};

use crate::Refused;

/// What the answer to a question means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// All is well.
    Ok,
    /// It may matter.
    Warning,
    /// It keeps the party away.
    Fault,
}

impl Verdict {
    /// Returns the word that a person reads.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Fault => "fault",
        }
    }
}

/// The answer to one question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    topic: &'static str,
    verdict: Verdict,
    text: String,
    advice: Option<&'static str>,
}

impl Finding {
    /// Makes a finding about `topic`, which has at most 16 letters.
    pub fn new(topic: &'static str, verdict: Verdict, text: impl Into<String>) -> Self {
        Self {
            topic,
            verdict,
            text: text.into(),
            advice: None,
        }
    }

    /// Makes one that is well.
    pub fn ok(topic: &'static str, text: impl Into<String>) -> Self {
        Self::new(topic, Verdict::Ok, text)
    }

    /// Makes one that may matter.
    pub fn warning(topic: &'static str, text: impl Into<String>) -> Self {
        Self::new(topic, Verdict::Warning, text)
    }

    /// Makes one that keeps the party away.
    pub fn fault(topic: &'static str, text: impl Into<String>) -> Self {
        Self::new(topic, Verdict::Fault, text)
    }

    /// Adds what the person can do.
    #[must_use]
    pub const fn advise(mut self, advice: &'static str) -> Self {
        self.advice = Some(advice);
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = self.verdict.as_str();
        write!(f, "{verdict:<8} {:<16} {}", self.topic, self.text)?;
        if let Some(advice) = self.advice {
            write!(f, "\n{:25} -> {advice}", "")?;
        }

        Ok(())
    }
}

/// All answers of one examination.
#[derive(Debug, Default)]
pub struct Report {
    findings: Vec<Finding>,
}

impl Report {
    /// Adds an answer.
    pub fn push(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// Prints all answers.
    ///
    /// # Errors
    ///
    /// Returns an error that is [`Refused`] if something keeps the party away, and what `out` said if it
    /// takes no lines.
    pub fn finish(&self, out: &mut impl Write) -> anyhow::Result<()> {
        self.print(out)?;
        let faults = self
            .findings
            .iter()
            .filter(|finding| finding.verdict == Verdict::Fault)
            .count();
        match faults {
            0 => Ok(()),
            1 => Err(Refused("one fault keeps the party away".to_owned()).into()),
            count => Err(Refused(format!("{count} faults keep the party away")).into()),
        }
    }

    fn print(&self, out: &mut impl Write) -> io::Result<()> {
        for finding in &self.findings {
            writeln!(out, "{finding}")?;
        }

        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finish(findings: &[Finding]) -> (anyhow::Result<()>, String) {
        let mut report = Report::default();
        for finding in findings {
            report.push(finding.clone());
        }
        let mut out = Vec::new();

        (report.finish(&mut out), String::from_utf8(out).unwrap())
    }

    #[test]
    fn every_answer_has_a_line_and_advice_one_of_its_own() {
        let (ended, said) = finish(&[
            Finding::ok("card", "eth0 has a link"),
            Finding::warning("network", "public").advise("make it private"),
        ]);

        assert!(ended.is_ok());
        let lines: Vec<_> = said.lines().collect();
        assert_eq!(lines[0], "ok       card             eth0 has a link");
        assert_eq!(lines[1], "warning  network          public");
        assert_eq!(lines[2].trim_start(), "-> make it private");
    }

    #[test]
    fn a_fault_is_the_worlds_refusal() {
        let fault = Finding::fault("card", "no link");

        let (ended, _) = finish(std::slice::from_ref(&fault));
        let error = ended.unwrap_err();
        assert!(error.is::<Refused>());
        assert_eq!(error.to_string(), "one fault keeps the party away");
        let (ended, _) = finish(&[fault.clone(), fault]);
        assert_eq!(
            ended.unwrap_err().to_string(),
            "2 faults keep the party away"
        );
    }
}
