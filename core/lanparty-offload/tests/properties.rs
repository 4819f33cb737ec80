//! What always holds for segmentation, coalescing and MSS clamping, whatever the frame.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, too, end a test by unwrap"
)]

use bytes::Bytes;
use lanparty_offload::coalesce::CoalesceOptions;
use lanparty_offload::mss;
use lanparty_offload::segment::MAX_SUPER_LEN;
use lanparty_offload::vnet::{GSO_ECN, VNET_HEADER_LEN};
use lanparty_offload::{Coalescer, FlowHasher, Super, VnetHeader, ipv4_fragment, too_big};
use lanparty_proto::ChecksumState;
use lanparty_samples::{SuperFrame, sum};
use proptest::collection::vec;
use proptest::prelude::*;

fn recipes() -> impl Strategy<Value = SuperFrame> {
    let tag = any::<[u8; 2]>().prop_map(|[high, low]| [0x81, 0x00, high, low]);
    (
        (vec(tag, 0..3), any::<bool>(), any::<bool>()),
        (0_usize..11, any::<bool>(), 0_usize..11),
        (any::<u8>(), any::<u16>(), any::<u32>(), any::<bool>()),
        (16_u16..1500, vec(any::<u8>(), 1..6000)),
    )
        .prop_map(
            |((tags, v6, tcp), (ip_options, extension, tcp_options), numbers, (size, payload))| {
                SuperFrame {
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
                    says_headers: numbers.3,
                    payload,
                }
            },
        )
}

/// The checksum over what has zeros in its place; 0 if a right one is in it.
fn naive(bytes: &[u8]) -> u16 {
    !sum(bytes)
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
        let recipe = SuperFrame { tcp: true, ..recipe };
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
        let recipe = SuperFrame { tcp: true, tcp_options: 2, flags: 0x02, ..recipe };
        let (vnet, mut frame) = recipe.build();
        let (l3, l4, v6) = offsets(&frame);
        frame[l4 + 20..l4 + 28].fill(1);
        let [high, low] = mss.to_be_bytes();
        frame[l4 + 20 + nops..l4 + 24 + nops].copy_from_slice(&[2, 4, high, low]);
        let partial = frame.clone();
        let mut frame = cut(&VnetHeader { gso_type: 0, ..vnet }, &frame, None).remove(0);
        let wanted = max - if v6 { 60 } else { 40 };

        let clamped = mss::clamp(&mut frame, max, ChecksumState::Complete);

        prop_assert_eq!(clamped, mss > wanted);
        let value = [frame[l4 + 22 + nops], frame[l4 + 23 + nops]];
        prop_assert_eq!(u16::from_be_bytes(value), mss.min(wanted));
        assert_sound(&frame);

        let mut later = partial.clone();
        mss::clamp(&mut later, max, ChecksumState::Partial);
        prop_assert_eq!(&later[l4 + 16..l4 + 18], &partial[l4 + 16..l4 + 18]);
        prop_assert_eq!(&later[..l3], &partial[..l3]);
        prop_assert_eq!(&cut(&VnetHeader { gso_type: 0, ..vnet }, &later, None)[0], &frame);
    }

    #[test]
    fn fragments_are_sound_and_carry_the_payload(recipe in recipes(), max in 76_usize..1500) {
        let recipe = SuperFrame { v6: false, tcp: false, ..recipe };
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
    mss::clamp(&mut copy, 1400, ChecksumState::Complete);
    if let Ok(mut fragments) = ipv4_fragment::fragment(bytes, max) {
        while fragments.write_next(&mut out).is_some() {}
    }
    if let Ok(len) = too_big::answer(bytes, 1400, &mut out) {
        assert!(len <= too_big::MAX_ANSWER_LEN);
    }
    let _any = FlowHasher::new(7).read(bytes);
    let _any =
        lanparty_proto::Frame::parse(bytes).map(|frame| lanparty_offload::flow::is_control(&frame));
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
