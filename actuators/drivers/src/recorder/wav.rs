//! Sound from a WAV file in frames of 20 ms, and frames into a WAV file.

use super::{FRAME, Frame, FrameSink};
use osmose_model::time::{LogicalNs, NS_PER_S};
use std::io::{self, Read, Seek, Write};

/// Why a WAV file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WavError {
    /// It cannot be read or written, or is no WAV file.
    #[error("this is no WAV file that can be used: {0}")]
    Wav(#[from] hound::Error),
    /// Its samples are of another form.
    #[error("its samples are {bits}-bit {form}: convert it to 16-bit whole numbers")]
    Form {
        /// Bits of a sample.
        bits: u16,
        /// What they are.
        form: &'static str,
    },
    /// 20 ms are no whole number of samples.
    #[error("at {0} samples a second, 20 ms are no whole number of samples: convert it to 8, 16, 44.1 or 48 kHz")]
    Rate(u32),
}

/// The form of a sound: samples a second, and channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// Samples a second of one channel, Hz.
    pub rate_hz: u32,
    /// Channels, interleaved.
    pub channels: u16,
}

impl Form {
    /// Samples of a frame, all channels together; `None` where 20 ms are no whole number of them.
    #[must_use]
    pub fn samples_per_frame(self) -> Option<usize> {
        let per_channel = u64::from(self.rate_hz) * FRAME.0 as u64;
        let whole = per_channel.is_multiple_of(NS_PER_S as u64) && per_channel > 0 && self.channels > 0;
        whole.then(|| (per_channel / NS_PER_S as u64) as usize * usize::from(self.channels))
    }

    fn spec(self) -> hound::WavSpec {
        hound::WavSpec {
            channels: self.channels,
            sample_rate: self.rate_hz,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        }
    }
}

/// A WAV file as a microphone: frame after frame, the first captured when the source begins.
pub struct WavSource<R> {
    samples: hound::WavIntoSamples<R, i16>,
    form: Form,
    per_frame: usize,
    next: LogicalNs,
}

impl<R: Read> WavSource<R> {
    /// A file whose first sample is captured at `begins`.
    ///
    /// # Errors
    /// [`WavError`] where it is no WAV file of 16-bit whole numbers with whole frames.
    pub fn new(file: R, begins: LogicalNs) -> Result<Self, WavError> {
        let reader = hound::WavReader::new(file)?;
        let spec = reader.spec();
        if spec.bits_per_sample != 16 || spec.sample_format != hound::SampleFormat::Int {
            let form = if spec.sample_format == hound::SampleFormat::Int { "whole numbers" } else { "floating point" };
            return Err(WavError::Form { bits: spec.bits_per_sample, form });
        }
        let form = Form { rate_hz: spec.sample_rate, channels: spec.channels };
        let per_frame = form.samples_per_frame().ok_or(WavError::Rate(spec.sample_rate))?;
        Ok(Self { samples: reader.into_samples(), form, per_frame, next: begins })
    }

    /// Its form.
    pub fn form(&self) -> Form {
        self.form
    }

    /// The next frame; `None` at the end of the file. The last frame is filled up with silence.
    ///
    /// # Errors
    /// [`WavError`] where the file is cut or cannot be read further.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, WavError> {
        let mut samples = Vec::with_capacity(self.per_frame);
        for sample in self.samples.by_ref().take(self.per_frame) {
            samples.push(sample?);
        }
        if samples.is_empty() {
            return Ok(None);
        }
        samples.resize(self.per_frame, 0);
        let captured = self.next;
        self.next = captured.plus(FRAME);
        Ok(Some(Frame { captured, samples }))
    }
}

/// Frames into a WAV file, one behind the other: what was not recorded leaves no gap.
pub struct WavSink<W: Write + Seek> {
    writer: hound::WavWriter<W>,
}

impl<W: Write + Seek> WavSink<W> {
    /// A file of a form.
    ///
    /// # Errors
    /// [`WavError`] where its head cannot be written.
    pub fn new(file: W, form: Form) -> Result<Self, WavError> {
        Ok(Self { writer: hound::WavWriter::new(file, form.spec())? })
    }

    /// Completes the head of the file: only then is it whole.
    ///
    /// # Errors
    /// [`WavError`] where it cannot be written.
    pub fn finish(self) -> Result<(), WavError> {
        Ok(self.writer.finalize()?)
    }
}

impl<W: Write + Seek> FrameSink for WavSink<W> {
    fn write(&mut self, frame: &Frame) -> io::Result<()> {
        let written = frame.samples.iter().try_for_each(|&s| self.writer.write_sample(s));
        written.map_err(|e| match e {
            hound::Error::IoError(e) => e,
            other => io::Error::other(other.to_string()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{HOLD_BACK, Recorder};
    use super::*;
    use osmose_model::time::DurationNs;
    use std::io::Cursor;

    const FORM: Form = Form { rate_hz: 16_000, channels: 1 };

    /// So many frames, each of whose samples is its number.
    fn numbered(frames: i16) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        let mut sink = WavSink::new(&mut bytes, FORM).unwrap();
        for n in 0..frames {
            sink.write(&Frame { captured: LogicalNs(0), samples: vec![n; 320] }).unwrap();
        }
        sink.finish().unwrap();
        bytes.into_inner()
    }

    fn heard(bytes: &[u8]) -> Vec<i16> {
        let mut source = WavSource::new(bytes, LogicalNs(0)).unwrap();
        let mut all = Vec::new();
        while let Some(frame) = source.next_frame().unwrap() {
            assert!(frame.samples.iter().all(|&s| s == frame.samples[0]), "a frame is one number");
            all.push(frame.samples[0]);
        }
        all
    }

    #[test]
    fn a_file_goes_through_a_recorder_and_lacks_what_was_taken_back() {
        let bytes = numbered(200);
        let mut source = WavSource::new(&bytes[..], LogicalNs(0)).unwrap();
        let mut out = Cursor::new(Vec::new());
        let mut recorder = Recorder::new(WavSink::new(&mut out, source.form()).unwrap(), HOLD_BACK);
        recorder.open(LogicalNs(0));
        while let Some(frame) = source.next_frame().unwrap() {
            let ends = frame.ends();
            recorder.capture(frame).unwrap();
            if ends == LogicalNs(2_000_000_000) {
                recorder.pause(ends, Some(DurationNs::from_ms(500)));
            } else if ends == LogicalNs(3_000_000_000) {
                recorder.open(ends);
            }
        }
        recorder.finish().unwrap().finish().unwrap();
        assert_eq!(heard(&out.into_inner()), (0..75).chain(150..200).collect::<Vec<i16>>());
    }

    #[test]
    fn what_is_no_such_file_is_refused_with_the_way_to_mend_it() {
        assert!(matches!(WavSource::new(&b"RIFF"[..], LogicalNs(0)), Err(WavError::Wav(_))));
        let of = |spec: hound::WavSpec| {
            let mut bytes = Cursor::new(Vec::new());
            hound::WavWriter::new(&mut bytes, spec).unwrap().finalize().unwrap();
            WavSource::new(&bytes.into_inner()[..], LogicalNs(0)).err().unwrap().to_string()
        };
        let spec = FORM.spec();
        assert_eq!(
            of(hound::WavSpec { bits_per_sample: 24, ..spec }),
            "its samples are 24-bit whole numbers: convert it to 16-bit whole numbers"
        );
        assert!(of(hound::WavSpec { sample_rate: 11_025, ..spec }).contains("11025 samples a second"));
        // A file that is cut ends in an error and in no panic.
        let bytes = numbered(3);
        let mut source = WavSource::new(&bytes[..bytes.len() - 100], LogicalNs(0)).unwrap();
        assert!(source.next_frame().is_ok() && source.next_frame().is_ok() && source.next_frame().is_err());
    }
}
