//! What a player gets from a hostile LAN.

use lanparty_samples::dhcp::codes;
use proptest::prelude::*;

use super::options::STRIPPED_DHCP;
use super::{PlayerPolicy, Rewrite, rewrite};
use crate::Refusal;
use crate::checksum::ChecksumState;
use crate::policy::tests::build::{
    CLIENT, dhcp, frame, icmpv6, ipv4, ipv4_packet, ipv6, llc, pseudo_sum, router_advertisement,
    tagged, udp, udp6,
};
use crate::policy::tests::vectors;

/// Where the options of [`dhcp`] start in an untagged frame.
const DHCP_OPTIONS: usize = 14 + 20 + 8 + 240;
/// Where ICMPv6 or UDP starts in an untagged IPv6 frame.
const IPV6_UPPER: usize = 14 + 40;

fn clean(bytes: &mut [u8]) -> Result<Rewrite, Refusal> {
    rewrite(PlayerPolicy::default(), bytes, ChecksumState::Complete)
}

/// An acknowledgement with every option that is taken out, between ones that stay.
fn acknowledgement() -> Vec<u8> {
    let mut options = vec![53, 1, 5, 1, 4, 255, 255, 255, 0];
    for code in STRIPPED_DHCP {
        options.extend_from_slice(&[code, 4, 10, 0, 0, 66]);
    }
    options.extend_from_slice(&[51, 4, 0, 0, 2, 0x58, 255]);
    let mut message = dhcp(2, CLIENT, &options);
    message[16..20].copy_from_slice(&[10, 0, 0, 50]);

    ipv4(17, &udp(67, 68, &message))
}

fn udp4_checksum_is_right(bytes: &[u8]) -> bool {
    pseudo_sum(&bytes[26..34], 17, &bytes[34..]) == 0xffff
}

fn ipv6_checksum_is_right(bytes: &[u8]) -> bool {
    pseudo_sum(&bytes[22..54], bytes[20], &bytes[IPV6_UPPER..]) == 0xffff
}

#[test]
fn dhcp_loses_what_captures_and_keeps_the_rest() {
    let before = acknowledgement();
    let mut bytes = before.clone();

    assert_eq!(clean(&mut bytes), Ok(Rewrite::Cleaned));
    assert_eq!(codes(&bytes[DHCP_OPTIONS..]), [53, 1, 51]);
    assert!(udp4_checksum_is_right(&bytes));
    // Lease, addresses and everything else in front of the options, checksum apart.
    assert_eq!(bytes[..40], before[..40]);
    assert_eq!(bytes[42..DHCP_OPTIONS], before[42..DHCP_OPTIONS]);
}

#[test]
fn single_options_can_be_kept() {
    for kept in STRIPPED_DHCP {
        let mut bytes = acknowledgement();
        let policy = PlayerPolicy::default().keep_dhcp(kept.to_string().parse().unwrap());
        rewrite(policy, &mut bytes, ChecksumState::Complete).unwrap();

        assert_eq!(codes(&bytes[DHCP_OPTIONS..]), [53, 1, kept, 51]);
        assert!(udp4_checksum_is_right(&bytes));
    }
}

#[test]
fn tags_make_no_difference() {
    for tags in [
        &[[0x81, 0, 0, 0]][..],
        &[[0x88, 0xa8, 0, 1], [0x81, 0, 0, 0]],
    ] {
        let mut bytes = tagged(&acknowledgement(), tags);
        clean(&mut bytes).unwrap();

        let mut expected = acknowledgement();
        clean(&mut expected).unwrap();
        assert_eq!(bytes, tagged(&expected, tags));
    }
}

#[test]
fn options_in_the_overloaded_fields_go_too() {
    let mut message = dhcp(2, CLIENT, &[53, 1, 5, 52, 1, 3, 255]);
    message[44..51].copy_from_slice(&[3, 4, 10, 0, 0, 66, 255]);
    message[108..115].copy_from_slice(&[121, 4, 0, 10, 0, 66, 255]);
    let mut bytes = ipv4(17, &udp(67, 68, &message));
    clean(&mut bytes).unwrap();

    assert_eq!(codes(&bytes[42 + 44..42 + 108]), [0_u8; 0]);
    assert_eq!(codes(&bytes[42 + 108..42 + 236]), [0_u8; 0]);
    assert!(udp4_checksum_is_right(&bytes));
}

#[test]
fn a_mask_over_half_the_internet_goes() {
    let message = dhcp(2, CLIENT, &[53, 1, 5, 1, 4, 128, 0, 0, 0, 255]);
    let mut bytes = ipv4(17, &udp(67, 68, &message));
    clean(&mut bytes).unwrap();

    assert_eq!(codes(&bytes[DHCP_OPTIONS..]), [53]);
}

#[test]
fn nothing_is_left_behind_the_end() {
    let message = dhcp(2, CLIENT, &[53, 1, 5, 255, 3, 4, 10, 0, 0, 66]);
    let mut bytes = ipv4(17, &udp(67, 68, &message));
    clean(&mut bytes).unwrap();

    assert_eq!(bytes[DHCP_OPTIONS + 3..], [255, 0, 0, 0, 0, 0, 0]);
    assert!(udp4_checksum_is_right(&bytes));
}

#[test]
fn no_checksum_stays_none_and_a_wrong_one_stays_wrong() {
    let mut without = acknowledgement();
    without[40..42].fill(0);
    clean(&mut without).unwrap();
    assert_eq!(without[40..42], [0, 0]);

    let mut wrong = acknowledgement();
    wrong[41] ^= 1;
    clean(&mut wrong).unwrap();
    assert!(!udp4_checksum_is_right(&wrong));
}

#[test]
fn dhcp_that_cannot_be_read_is_refused() {
    let cut = dhcp(2, CLIENT, &[53, 1, 5, 3, 40, 10]);
    let mut without_cookie = dhcp(2, CLIENT, &[53, 1, 5, 255]);
    without_cookie[236] = 0;

    for message in [cut, without_cookie, vec![2; 200]] {
        let mut bytes = ipv4(17, &udp(67, 68, &message));
        assert_eq!(clean(&mut bytes), Err(Refusal::DhcpMalformed));
    }
    // A client that reads raw packets might read on behind the UDP length.
    let mut datagram = udp(67, 68, &dhcp(2, CLIENT, &[255]));
    datagram.extend_from_slice(&[3, 4, 10, 0, 0, 66]);
    assert_eq!(
        clean(&mut ipv4(17, &datagram)),
        Err(Refusal::TransportMalformed)
    );
}

#[test]
fn dhcp_in_fragments_is_refused() {
    let datagram = udp(67, 68, &dhcp(2, CLIENT, &[255]));
    let mut bytes = frame(0x0800, &ipv4_packet(17, 0x2000, &[], &datagram[..64]));

    assert_eq!(clean(&mut bytes), Err(Refusal::Ipv4Fragment));
}

#[test]
fn requests_of_others_are_left_alone() {
    let before = ipv4(17, &udp(68, 67, &dhcp(1, CLIENT, &[55, 2, 3, 6, 255])));
    let mut bytes = before.clone();

    assert_eq!(clean(&mut bytes), Ok(Rewrite::Untouched));
    assert_eq!(bytes, before);
}

#[test]
fn dhcpv6_loses_resolvers() {
    let options = [
        &[0, 1, 0, 2, 7, 7][..],
        &[0, 23, 0, 16],
        &[0xfd; 16],
        &[0, 24, 0, 2, 1, 0],
    ]
    .concat();
    let message = [&[7, 0, 0, 1][..], &options].concat();
    let mut bytes = ipv6(17, &udp6(547, 546, &message));

    assert_eq!(clean(&mut bytes), Ok(Rewrite::Cleaned));
    assert!(ipv6_checksum_is_right(&bytes));
    let after = &bytes[IPV6_UPPER + 12..];
    assert_eq!(after[..6], options[..6]);
    assert_eq!(after[6..10], [0xff, 0xff, 0, 16]);
    assert_eq!(after[10..26], [0; 16]);
    assert_eq!(after[26..30], [0xff, 0xff, 0, 2]);

    let mut cut = ipv6(17, &udp6(547, 546, &[7, 0, 0, 1, 0, 23, 0, 16]));
    assert_eq!(clean(&mut cut), Err(Refusal::Dhcpv6Malformed));
}

#[test]
fn an_advertisement_loses_router_and_resolvers() {
    let wide = [
        &[3, 4, 3, 0xc0][..],
        &[0, 0, 0x0e, 0x10, 0, 0, 0x0e, 0x10],
        &[0; 4],
        &[0x20; 16],
    ]
    .concat();
    let mut link = wide.clone();
    link[2] = 64;
    let options = [
        &[1, 1, 2, 0, 0, 0, 0, 9][..],
        &wide,
        &link,
        &[24, 1, 0, 0x08, 0, 0, 7, 8],
        &[25, 3, 0, 0, 0, 0, 7, 8],
        &[0xfd; 16],
        &[31, 1, 0, 0, 0, 0, 7, 8],
        &[37, 1, b'h', b't', b't', b'p', 0, 0],
        &[38, 2, 0, 0, 0, 0x64, 0xff, 0x9b],
        &[0; 8],
        &[5, 1, 0, 0, 0, 0, 5, 0xdc],
    ]
    .concat();
    let mut bytes = ipv6(58, &router_advertisement(&options));

    assert_eq!(clean(&mut bytes), Ok(Rewrite::Cleaned));
    assert!(ipv6_checksum_is_right(&bytes));
    let message = &bytes[IPV6_UPPER..];
    assert_eq!(message[5..8], [0, 0, 0]);
    let mut after = &message[16..];
    let mut kinds = Vec::new();
    while let [kind, units, ..] = after {
        kinds.push(*kind);
        after = &after[usize::from(*units) * 8..];
    }
    assert_eq!(kinds, [1, 3, 3, 253, 253, 253, 253, 253, 5]);
    assert_eq!(message[16 + 8 + 3], 0x40, "the wide prefix is not on-link");
    assert_eq!(message[16 + 40 + 3], 0xc0, "the link's own prefix is");
}

#[test]
fn an_advertisement_behind_options_is_cleaned_too() {
    let advertisement = router_advertisement(&[]);
    let chain = [&[58, 0, 1, 4, 0, 0, 0, 0][..], &advertisement].concat();
    let mut bytes = ipv6(60, &chain);

    assert_eq!(clean(&mut bytes), Ok(Rewrite::Cleaned));
    assert_eq!(bytes[IPV6_UPPER + 8 + 6..IPV6_UPPER + 8 + 8], [0, 0]);
}

#[test]
fn an_advertisement_that_cannot_be_read_is_refused() {
    for options in [&[25, 0][..], &[25, 3, 0, 0], &[25]] {
        let mut bytes = ipv6(58, &router_advertisement(options));
        assert_eq!(clean(&mut bytes), Err(Refusal::NdMalformed));
    }
    let mut short = ipv6(58, &icmpv6(134, &[0; 8]));
    assert_eq!(clean(&mut short), Err(Refusal::NdMalformed));
    let fragment = [&[58, 0, 0, 1, 0, 0, 0, 1][..], &router_advertisement(&[])].concat();
    assert_eq!(clean(&mut ipv6(44, &fragment)), Err(Refusal::Ipv6Fragment));
}

#[test]
fn redirects_are_refused() {
    let redirects = [
        (ipv4(1, &[5, 1, 0, 0, 10, 0, 0, 66]), Refusal::Redirect),
        (ipv6(58, &icmpv6(137, &[0; 36])), Refusal::Redirect),
        (
            ipv4(1, &[9, 0, 0, 0, 1, 2, 7, 8]),
            Refusal::RouterAdvertisement,
        ),
    ];
    for (mut bytes, reason) in redirects {
        assert_eq!(clean(&mut bytes), Err(reason));
        let mut behind_tag = tagged(&bytes, &[[0x81, 0, 0, 0]]);
        assert_eq!(clean(&mut behind_tag), Err(reason));
    }
}

#[test]
fn what_hides_behind_a_third_tag_is_refused() {
    let mut bytes = tagged(&acknowledgement(), &[[0x81, 0, 0, 7]; 3]);

    assert_eq!(clean(&mut bytes), Err(Refusal::VlanStack));
}

#[test]
fn disguises_are_refused() {
    let plain = acknowledgement();
    let payload = [&[0xaa, 0xaa, 3, 0, 0, 0][..], &plain[12..]].concat();

    assert_eq!(clean(&mut llc(&payload)), Err(Refusal::LlcIp));
}

#[test]
fn what_passes_the_policy_and_says_nothing_dangerous_is_untouched() {
    for vector in vectors::all() {
        if vector.from_remote.is_none() {
            let mut bytes = vector.frame.clone();
            assert_eq!(clean(&mut bytes), Ok(Rewrite::Untouched), "{}", vector.name);
            assert_eq!(bytes, vector.frame, "{}", vector.name);
        }
    }
}

/// The policy that keeps the options whose bits are set.
fn keeping(bits: u8) -> PlayerPolicy {
    let kept = STRIPPED_DHCP.iter().enumerate();

    kept.filter(|(place, _)| bits >> place & 1 != 0)
        .fold(PlayerPolicy::default(), |policy, (_, code)| {
            policy.keep_dhcp(code.to_string().parse().unwrap())
        })
}

/// Any well-formed options but pad and end.
fn any_options() -> impl Strategy<Value = Vec<u8>> {
    let option = (1_u8..255, prop::collection::vec(any::<u8>(), 1..20)).prop_map(|(code, data)| {
        let len = u8::try_from(data.len()).unwrap();
        // An overload is a test of its own.
        let code = if code == 52 { 53 } else { code };
        [&[code, len], data.as_slice()].concat()
    });

    prop::collection::vec(option, 0..20).prop_map(|options| options.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn dhcp_stays_valid_and_loses_every_listed_option(mut options in any_options()) {
        let before: Vec<u8> = codes(&options);
        options.push(255);
        let mut bytes = ipv4(17, &udp(67, 68, &dhcp(2, CLIENT, &options)));

        prop_assert_eq!(clean(&mut bytes), Ok(Rewrite::Cleaned));
        prop_assert!(udp4_checksum_is_right(&bytes));
        let after = codes(&bytes[DHCP_OPTIONS..]);
        prop_assert!(after.iter().all(|code| !STRIPPED_DHCP.contains(code)));
        let kept = |code: &u8| !STRIPPED_DHCP.contains(code) && *code != 1;
        prop_assert_eq!(
            before.into_iter().filter(kept).collect::<Vec<_>>(),
            after.into_iter().filter(kept).collect::<Vec<_>>()
        );
    }

    #[test]
    fn cleaning_at_two_places_leaves_what_both_keep(mut options in any_options(), one in any::<u8>(), other in any::<u8>()) {
        options.push(255);
        let before = ipv4(17, &udp(67, 68, &dhcp(2, CLIENT, &options)));
        let (mut twice, mut once) = (before.clone(), before);

        for kept in [one, other] {
            rewrite(keeping(kept), &mut twice, ChecksumState::Complete).unwrap();
        }
        rewrite(keeping(one & other), &mut once, ChecksumState::Complete).unwrap();

        prop_assert!(udp4_checksum_is_right(&twice));
        prop_assert_eq!(twice, once);
    }

    #[test]
    fn cleaning_twice_is_cleaning_once(options in any_options(), kind in any::<bool>()) {
        let units: Vec<u8> = options.chunks_exact(6).flat_map(|data| [&[data[0], 1], data].concat()).collect();
        let mut once = if kind {
            ipv6(58, &router_advertisement(&units))
        } else {
            ipv4(17, &udp(67, 68, &dhcp(2, CLIENT, &options)))
        };
        let first = clean(&mut once);
        prop_assert_eq!(first, Ok(Rewrite::Cleaned));
        let is_right = if kind { ipv6_checksum_is_right } else { udp4_checksum_is_right };
        prop_assert!(is_right(&once));
        let mut twice = once.clone();
        prop_assert_eq!(clean(&mut twice), first);
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn no_bytes_panic(at in 0..vectors::all().len(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6), cut in any::<prop::sample::Index>()) {
        let mut bytes = vectors::all().swap_remove(at).frame;
        for (index, value) in changes {
            let at = index.index(bytes.len());
            bytes[at] = value;
        }
        let mut short = bytes[..cut.index(bytes.len())].to_vec();
        let shortened = clean(&mut short);
        prop_assert!(cut.index(bytes.len()) >= 14 || shortened == Err(Refusal::Runt));
        if clean(&mut bytes) == Ok(Rewrite::Cleaned) {
            prop_assert_eq!(clean(&mut bytes), Ok(Rewrite::Cleaned));
        }
    }
}
