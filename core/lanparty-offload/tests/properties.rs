//! What always holds for segmentation, coalescing and MSS clamping, whatever the frame.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, too, end a test by unwrap"
)]

use bytes::Bytes;
use lanparty_offload::coalesce::CoalesceOptions;
use lanparty_offload::mss::{self, Checksum};
use lanparty_offload::segment::MAX_SUPER_LEN;
use lanparty_offload::vnet::{
    FLAG_NEEDS_CSUM, GSO_ECN, GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, VNET_HEADER_LEN,
};
use lanparty_offload::{Coalescer, FlowHasher, Super, VnetHeader, ipv4_fragment, too_big};
use proptest::collection::vec;
use proptest::prelude::*;

/// Everything that decides what a super-frame looks like.
#[derive(Debug, Clone)]
struct Recipe {
    tags: Vec<u16>,
    v6: bool,
    tcp: bool,
    ip_options: usize,
    extension: bool,
    tcp_options: usize,
    flags: u8,
    id: u16,
    sequence: u32,
    size: u16,
    payload: Vec<u8>,
}

fn recipes() -> impl Strategy<Value = Recipe> {
    (
        (vec(any::<u16>(), 0..3), any::<bool>(), any::<bool>()),
        (0_usize..11, any::<bool>(), 0_usize..11),
        (any::<u8>(), any::<u16>(), any::<u32>()),
        (16_u16..1500, vec(any::<u8>(), 1..6000)),
    )
        .prop_map(
            |((tags, v6, tcp), (ip_options, extension, tcp_options), numbers, (size, payload))| {
                Recipe {
                    tags,
                    v6,
                    tcp,
                    ip_options,
                    extension,
                    tcp_options,
                    flags: numbers.0,
                    id: numbers.1,
                    sequence: numbers.2,
                    size,
                    payload,
                }
            },
        )
}

impl Recipe {
    /// A flow that GRO merges: nothing but ACK, no IP options, no extension headers.
    fn mergeable(mut self) -> Self {
        self.tcp = true;
        self.ip_options = 0;
        self.extension = false;
        self.flags = 0x10 | self.flags & 0x08;
        self
    }

    /// The frame with its headers; checksum fields hold what a kernel leaves in them.
    fn build(&self) -> (VnetHeader, Vec<u8>) {
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        for tag in &self.tags {
            frame.extend([0x81, 0x00]);
            frame.extend(tag.to_be_bytes());
        }
        let transport = if self.tcp {
            20 + 4 * self.tcp_options
        } else {
            8
        };
        let protocol = if self.tcp { 6 } else { 17 };
        let len = transport + self.payload.len();
        if self.v6 {
            let extension = if self.extension { 8 } else { 0 };
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            frame.extend(u16::try_from(len + extension).unwrap().to_be_bytes());
            frame.extend([if self.extension { 60 } else { protocol }, 64]);
            frame.extend([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
            frame.extend([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
            if self.extension {
                frame.extend([protocol, 0, 1, 4, 0, 0, 0, 0]);
            }
        } else {
            let header = 20 + 4 * self.ip_options;
            let l3 = frame.len() + 2;
            frame.extend([0x08, 0x00, 0x40 | u8::try_from(header / 4).unwrap(), 0]);
            frame.extend(u16::try_from(header + len).unwrap().to_be_bytes());
            frame.extend(self.id.to_be_bytes());
            frame.extend([0x40, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
            frame.extend(vec![1; 4 * self.ip_options]);
            let sum = naive(&frame[l3..]);
            frame[l3 + 10..l3 + 12].copy_from_slice(&sum.to_be_bytes());
        }
        let l4 = frame.len();
        frame.extend([0x12, 0x34, 0x56, 0x78]);
        if self.tcp {
            frame.extend(self.sequence.to_be_bytes());
            frame.extend([0, 0, 0, 9, u8::try_from(transport / 4 * 16).unwrap()]);
            frame.extend([self.flags, 1, 0, 0, 0, 0, 0]);
            frame.extend(vec![1; 4 * self.tcp_options]);
        } else {
            frame.extend(u16::try_from(len).unwrap().to_be_bytes());
            frame.extend([0, 0]);
        }
        frame.extend(&self.payload);
        let offset = if self.tcp { 16 } else { 6 };
        let partial = !naive(&pseudo(&frame, l4));
        frame[l4 + offset..l4 + offset + 2].copy_from_slice(&partial.to_be_bytes());

        let vnet = VnetHeader {
            flags: FLAG_NEEDS_CSUM,
            gso_type: match (self.tcp, self.v6) {
                (true, false) => GSO_TCPV4,
                (true, true) => GSO_TCPV6,
                (false, _) => GSO_UDP_L4,
            },
            hdr_len: 0,
            gso_size: self.size,
            csum_start: u16::try_from(l4).unwrap(),
            csum_offset: offset.try_into().unwrap(),
        };

        (vnet, frame)
    }

    /// Bytes in front of the payload.
    fn headers(&self) -> usize {
        self.build().1.len() - self.payload.len()
    }
}

fn naive(bytes: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
        sum = (sum >> 16) + (sum & 0xffff);
    }

    !u16::try_from(sum).unwrap()
}

/// Where IP and transport headers begin, by the simplest possible reading of what `build` makes.
fn offsets(frame: &[u8]) -> (usize, usize, bool) {
    let mut at = 12;
    while frame[at..at + 2] == [0x81, 0x00] {
        at += 4;
    }
    let l3 = at + 2;
    if frame[l3] >> 4 == 6 {
        let extension = if frame[l3 + 6] == 60 { 8 } else { 0 };
        (l3, l3 + 40 + extension, true)
    } else {
        (l3, l3 + usize::from(frame[l3] & 15) * 4, false)
    }
}

fn pseudo(frame: &[u8], l4: usize) -> Vec<u8> {
    let (l3, _, v6) = offsets(frame);
    let addresses = if v6 {
        &frame[l3 + 8..l3 + 40]
    } else {
        &frame[l3 + 12..l3 + 20]
    };
    let protocol = match (v6, frame[l3 + 6], frame[l3 + 9]) {
        (true, 60, _) => frame[l3 + 40],
        (true, next, _) => next,
        (false, _, protocol) => protocol,
    };
    let len = u16::try_from(frame.len() - l4).unwrap().to_be_bytes();

    [addresses, &[0, protocol], &len].concat()
}

/// Asserts that lengths and checksums of a frame are true.
fn assert_sound(frame: &[u8]) {
    let (l3, l4, v6) = offsets(frame);
    if v6 {
        assert_eq!(
            frame[l3 + 4..l3 + 6],
            u16::try_from(frame.len() - l3 - 40).unwrap().to_be_bytes()
        );
    } else {
        assert_eq!(
            frame[l3 + 2..l3 + 4],
            u16::try_from(frame.len() - l3).unwrap().to_be_bytes()
        );
        assert_eq!(naive(&frame[l3..l4]), 0, "IPv4 checksum");
    }
    assert_eq!(
        naive(&[&pseudo(frame, l4), &frame[l4..]].concat()),
        0,
        "transport checksum"
    );
}

fn cut(vnet: &VnetHeader, frame: &[u8], max: Option<usize>) -> Vec<Vec<u8>> {
    let parsed = Super::parse(vnet, frame).unwrap();

    parsed
        .segments(max)
        .unwrap()
        .map(|segment| {
            let mut out = Vec::new();
            segment.append(&mut out);
            let mut written = vec![0xaa; segment.len() + 3];
            assert_eq!(segment.write(&mut written), Some(out.len()));
            assert_eq!(written[..out.len()], out);
            assert_eq!(segment.write(&mut written[..out.len() - 1]), None);
            out
        })
        .collect()
}

proptest! {
    #[test]
    fn segments_are_sound_and_carry_the_payload(recipe in recipes()) {
        let (vnet, frame) = recipe.build();
        let headers = recipe.headers();
        let segments = cut(&vnet, &frame, None);

        let payload: Vec<u8> = segments.iter().flat_map(|segment| segment[headers..].to_vec()).collect();
        prop_assert_eq!(&payload, &recipe.payload);
        let (l3, l4, v6) = offsets(&frame);
        for (index, segment) in segments.iter().enumerate() {
            assert_sound(segment);
            prop_assert_eq!(&segment[..l3], &frame[..l3]);
            let last = index + 1 == segments.len();
            prop_assert!(last || segment.len() == headers + usize::from(recipe.size));
            if !v6 {
                let id = recipe.id.wrapping_add(u16::try_from(index).unwrap());
                prop_assert_eq!(&segment[l3 + 4..l3 + 6], &id.to_be_bytes());
            }
            if recipe.tcp {
                let advance = u32::try_from(index * usize::from(recipe.size)).unwrap();
                let sequence = recipe.sequence.wrapping_add(advance);
                prop_assert_eq!(&segment[l4 + 4..l4 + 8], &sequence.to_be_bytes());
                let mut flags = recipe.flags;
                if index > 0 { flags &= 0x7f; }
                if !last { flags &= !0x09; }
                prop_assert_eq!(segment[l4 + 13], flags);
            }
        }
    }

    #[test]
    fn no_tcp_segment_exceeds_the_callers_limit(recipe in recipes(), max in 200_usize..1500) {
        let recipe = Recipe { tcp: true, ..recipe };
        let (vnet, frame) = recipe.build();
        let (l3, ..) = offsets(&frame);

        let segments = cut(&vnet, &frame, Some(max));

        for segment in &segments {
            prop_assert!(segment.len() - l3 <= max);
            assert_sound(segment);
        }
    }

    #[test]
    fn an_unfinished_checksum_is_finished(recipe in recipes()) {
        let (vnet, frame) = recipe.build();
        let vnet = VnetHeader { gso_type: 0, ..vnet };
        let segments = cut(&vnet, &frame, None);

        prop_assert_eq!(segments.len(), 1);
        assert_sound(&segments[0]);
    }

    #[test]
    fn coalescing_undoes_segmentation(recipe in recipes()) {
        let recipe = recipe.mergeable();
        let (vnet, frame) = recipe.build();
        let segments = cut(&vnet, &frame, None);
        prop_assume!(segments.len() > 1 && segments.len() < 60);

        let outs = coalesce(&segments);

        prop_assert_eq!(outs.len(), 1);
        let expected = VnetHeader { hdr_len: u16::try_from(recipe.headers()).unwrap(), ..vnet };
        prop_assert_eq!(outs[0].0, expected);
        prop_assert_eq!(&outs[0].1, &frame);
    }

    #[test]
    fn coalescing_loses_and_reorders_nothing(
        recipes in vec(recipes(), 1..4),
        order in vec(any::<prop::sample::Index>(), 0..40),
        broken in any::<prop::sample::Index>(),
    ) {
        let mut queues: Vec<Vec<Vec<u8>>> = recipes
            .into_iter()
            .enumerate()
            .map(|(n, recipe)| {
                let (vnet, mut frame) = recipe.mergeable().build();
                let (_, l4, _) = offsets(&frame);
                frame[l4] = u8::try_from(n).unwrap();
                let mut segments = cut(&vnet, &frame, None);
                segments.reverse();
                segments
            })
            .collect();
        let mut batch = Vec::new();
        for index in order {
            let queue = index.get_mut(&mut queues);
            batch.extend(queue.pop());
        }
        prop_assume!(!batch.is_empty());
        // One broken payload byte: its checksum must stay wrong, in a frame of its own.
        let victim = broken.index(batch.len());
        *batch[victim].last_mut().unwrap() ^= 0x55;

        let mut after = Vec::new();
        for (vnet, frame) in coalesce(&batch) {
            after.extend(cut(&vnet, &frame, None));
        }

        for flow in 0..4 {
            let of = |frames: &[Vec<u8>]| -> Vec<Vec<u8>> {
                frames.iter().filter(|frame| frame[offsets(frame).1] == flow).cloned().collect()
            };
            prop_assert_eq!(of(&batch), of(&after));
        }
    }

    #[test]
    fn clamping_keeps_checksums_true(recipe in recipes(), mss: u16, nops in 0_usize..4, max in 576_u16..1500) {
        let recipe = Recipe { tcp: true, tcp_options: 2, flags: 0x02, ..recipe };
        let (vnet, mut frame) = recipe.build();
        let (l3, l4, v6) = offsets(&frame);
        frame[l4 + 20..l4 + 28].fill(1);
        let [high, low] = mss.to_be_bytes();
        frame[l4 + 20 + nops..l4 + 24 + nops].copy_from_slice(&[2, 4, high, low]);
        let partial = frame.clone();
        let mut frame = cut(&VnetHeader { gso_type: 0, ..vnet }, &frame, None).remove(0);
        let wanted = max - if v6 { 60 } else { 40 };

        let clamped = mss::clamp(&mut frame, max, Checksum::Complete);

        prop_assert_eq!(clamped, mss > wanted);
        let value = [frame[l4 + 22 + nops], frame[l4 + 23 + nops]];
        prop_assert_eq!(u16::from_be_bytes(value), mss.min(wanted));
        assert_sound(&frame);

        let mut later = partial.clone();
        mss::clamp(&mut later, max, Checksum::Partial);
        prop_assert_eq!(&later[l4 + 16..l4 + 18], &partial[l4 + 16..l4 + 18]);
        prop_assert_eq!(&later[..l3], &partial[..l3]);
        prop_assert_eq!(&cut(&VnetHeader { gso_type: 0, ..vnet }, &later, None)[0], &frame);
    }

    #[test]
    fn fragments_are_sound_and_carry_the_payload(recipe in recipes(), max in 76_usize..1500) {
        let recipe = Recipe { v6: false, tcp: false, ..recipe };
        let (vnet, mut frame) = recipe.build();
        let (l3, l4, _) = offsets(&frame);
        prop_assert_eq!(ipv4_fragment::fragment(&frame, max).err(), Some(ipv4_fragment::FragmentRefusal::DontFragment));
        frame[l3 + 6] = 0;
        let frame = cut(&VnetHeader { gso_type: 0, ..vnet }, &frame, None).remove(0);

        let mut fragments = ipv4_fragment::fragment(&frame, max).unwrap();
        let mut packet: Vec<u8> = Vec::new();
        let mut buffer = [0; 2000];
        let mut more = true;
        while let Some(len) = fragments.write_next(&mut buffer) {
            let header = usize::from(buffer[l3] & 15) * 4;
            let place = u16::from_be_bytes([buffer[l3 + 6], buffer[l3 + 7]]);
            prop_assert!(len - l3 <= max && more);
            prop_assert_eq!(naive(&buffer[l3..l3 + header]), 0);
            prop_assert_eq!(usize::from(place & 0x1fff) * 8, packet.len());
            more = place & 0x2000 != 0;
            packet.extend(&buffer[l3 + header..len]);
        }
        prop_assert!(!more);
        prop_assert_eq!(&packet, &frame[l4..]);
    }

    #[test]
    fn an_answer_is_sound_and_quotes_its_question(recipe in recipes(), mtu in 1280_u16..1500) {
        let (vnet, frame) = recipe.build();
        let frame = cut(&VnetHeader { gso_type: 0, ..vnet }, &frame, None).remove(0);
        let mut out = [0; too_big::MAX_ANSWER_LEN];

        let len = too_big::answer(&frame, mtu, &mut out).unwrap();

        let (l3, l4, v6) = offsets(&out);
        prop_assert_eq!(&out[..6], &frame[6..12]);
        prop_assert_eq!(&out[6..12], &frame[..6]);
        prop_assert_eq!(u16::from_be_bytes([out[l4 + 6], out[l4 + 7]]), mtu);
        prop_assert_eq!(&out[l4 + 8..len], &frame[l3..l3 + len - l4 - 8]);
        if v6 {
            assert_sound(&out[..len]);
        } else {
            prop_assert_eq!(naive(&out[l3..l4]), 0);
            prop_assert_eq!(naive(&out[l4..len]), 0);
        }
        prop_assert!(too_big::answer(&out[..len], mtu, &mut [0; 2000]).is_err());
    }

    #[test]
    fn no_bytes_cause_a_panic(vnet: [u8; VNET_HEADER_LEN], bytes in vec(any::<u8>(), 0..300), max in 0_usize..2000) {
        torture(VnetHeader::from_bytes(vnet), &bytes, max);
    }

    #[test]
    fn no_damage_causes_a_panic(recipe in recipes(), damage in vec((0_usize..120, any::<u8>()), 0..6), cut_to in 0_usize..400, ecn: bool) {
        let (mut vnet, mut frame) = recipe.build();
        for (at, byte) in damage {
            if let Some(place) = frame.get_mut(at) { *place = byte; }
        }
        frame.truncate(cut_to);
        if ecn { vnet.gso_type |= GSO_ECN; }
        torture(vnet, &frame, 700);
        torture(VnetHeader { flags: 0, ..vnet }, &frame, 700);
    }
}

/// Gives `bytes` to everything that reads frames.
fn torture(vnet: VnetHeader, bytes: &[u8], max: usize) {
    let mut out = vec![0; MAX_SUPER_LEN];
    if let Ok(parsed) = Super::parse(&vnet, bytes)
        && let Ok(segments) = parsed.segments(Some(max))
    {
        for segment in segments {
            assert_eq!(segment.write(&mut out), Some(segment.len()));
        }
    }
    let mut copy = bytes.to_vec();
    mss::clamp(&mut copy, 1400, Checksum::Complete);
    if let Ok(mut fragments) = ipv4_fragment::fragment(bytes, max) {
        while fragments.write_next(&mut out).is_some() {}
    }
    if let Ok(len) = too_big::answer(bytes, 1400, &mut out) {
        assert!(len <= too_big::MAX_ANSWER_LEN);
    }
    let _any = FlowHasher::new(7).hash(bytes);
    let _any = lanparty_offload::flow::classify(bytes);
    assert_eq!(
        coalesce(&[bytes.to_vec()]),
        [(VnetHeader::NONE, bytes.to_vec())]
    );
}

fn coalesce(frames: &[Vec<u8>]) -> Vec<(VnetHeader, Vec<u8>)> {
    let mut coalescer = Coalescer::new(CoalesceOptions {
        tcp: true,
        udp: true,
    });
    for frame in frames {
        coalescer.push(Bytes::copy_from_slice(frame));
    }
    let mut outs = Vec::new();
    coalescer.flush(|out| {
        outs.push((
            out.vnet,
            out.pieces.iter().flat_map(|piece| piece.to_vec()).collect(),
        ));
    });
    assert!(coalescer.is_empty());

    outs
}
