//! Addresses, sizes, tags and what only switches say.

#![expect(clippy::too_many_lines, reason = "tables")]

use super::{Vector, both, remote, snap, to};
use crate::MacAddr;
use crate::policy::Refusal::*;
use crate::policy::tests::build::{
    CLIENT, OTHER, frame, frame_to, ipv4, ipv4_packet, llc, tagged, udp,
};

pub(super) fn addresses_and_sizes() -> Vec<Vector> {
    let game = ipv4_packet(17, 0, &[], &udp(4000, 4001, b"hello"));
    let tagged_game = |tags| tagged(&frame(0x0800, &game), tags);
    vec![
        both(
            "source_group",
            "a group address as source",
            InvalidSource,
            frame_to(OTHER.0, MacAddr([1, 0, 0, 0, 0, 1]), 0x0800, &game),
        ),
        both(
            "source_zero",
            "zero as source",
            InvalidSource,
            frame_to(OTHER.0, MacAddr::ZERO, 0x0800, &game),
        ),
        both(
            "destination_zero",
            "zero as destination",
            Runt,
            frame_to([0; 6], CLIENT, 0x0800, &game),
        ),
        both("empty", "a header and no payload", Runt, frame(0x0800, &[])),
        both(
            "jumbo",
            "1515 bytes",
            Jumbo,
            ipv4(17, &udp(4000, 4001, &[0; 1473])),
        ),
        remote(
            "vlan",
            "a VLAN tag",
            VlanTag,
            tagged_game(&[[0x81, 0, 0, 5]]),
        ),
        remote(
            "vlan_priority",
            "a priority tag (VLAN 0)",
            VlanTag,
            tagged_game(&[[0x81, 0, 0xe0, 0]]),
        ),
        remote(
            "vlan_service",
            "a service tag and a customer tag",
            VlanTag,
            tagged_game(&[[0x88, 0xa8, 0, 5], [0x81, 0, 0, 7]]),
        ),
        both(
            "vlan_stack",
            "three VLAN tags",
            VlanStack,
            tagged_game(&[[0x81, 0, 0, 0]; 3]),
        ),
    ]
}

pub(super) fn switch_control() -> Vec<Vector> {
    let bpdu = llc(&[0x42, 0x42, 0x03, 0, 0, 0, 0, 0]);
    let reserved = |last| to([0x01, 0x80, 0xc2, 0, 0, last]);
    vec![
        both(
            "group_stp",
            "to 01:80:C2:00:00:00 (STP, RSTP, MSTP)",
            ReservedGroup,
            reserved(0),
        ),
        both(
            "group_pause",
            "to 01:80:C2:00:00:01 (PAUSE)",
            ReservedGroup,
            reserved(1),
        ),
        both(
            "group_slow",
            "to 01:80:C2:00:00:02 (LACP, OAM)",
            ReservedGroup,
            reserved(2),
        ),
        both(
            "group_eapol",
            "to 01:80:C2:00:00:03 (802.1X)",
            ReservedGroup,
            reserved(3),
        ),
        both(
            "group_provider",
            "to 01:80:C2:00:00:08 (provider bridges)",
            ReservedGroup,
            reserved(8),
        ),
        both(
            "group_lldp",
            "to 01:80:C2:00:00:0E (LLDP, PTP peer delay)",
            ReservedGroup,
            reserved(0x0e),
        ),
        both(
            "group_0f",
            "to 01:80:C2:00:00:0F",
            ReservedGroup,
            reserved(0x0f),
        ),
        both(
            "group_bridge",
            "to 01:80:C2:00:00:10 (bridge management)",
            ReservedGroup,
            reserved(0x10),
        ),
        both(
            "group_garp",
            "to 01:80:C2:00:00:20 to 2F (GARP, MRP)",
            ReservedGroup,
            reserved(0x21),
        ),
        both(
            "group_cfm",
            "to 01:80:C2:00:00:30 to 3F (CFM)",
            ReservedGroup,
            reserved(0x3f),
        ),
        both(
            "group_ptp",
            "to 01:1B:19:00:00:00 (PTP)",
            ReservedGroup,
            to([0x01, 0x1b, 0x19, 0, 0, 0]),
        ),
        both(
            "group_cdp",
            "to 01:00:0C:CC:CC:CC (CDP, VTP, DTP, UDLD)",
            VendorControl,
            to([0x01, 0, 0x0c, 0xcc, 0xcc, 0xcc]),
        ),
        both(
            "group_pvst",
            "to 01:00:0C:CC:CC:CD (PVST+)",
            VendorControl,
            to([0x01, 0, 0x0c, 0xcc, 0xcc, 0xcd]),
        ),
        both(
            "group_l2pt",
            "to 01:00:0C:CD:CD:D0 (tunnelled switch control)",
            VendorControl,
            to([0x01, 0, 0x0c, 0xcd, 0xcd, 0xd0]),
        ),
        both(
            "group_ectp",
            "to CF:00:00:00:00:00 (loop-back assistance)",
            LoopProtocol,
            to([0xcf, 0, 0, 0, 0, 0]),
        ),
        both("bpdu_unicast", "a BPDU to a station", SpanningTree, bpdu),
        both(
            "cdp_unicast",
            "CDP to a station",
            VendorControl,
            snap([0, 0, 0x0c], 0x2000, &[2, 180]),
        ),
        both(
            "dtp_unicast",
            "DTP to a station",
            VendorControl,
            snap([0, 0, 0x0c], 0x2004, &[1]),
        ),
        both(
            "pvst_unicast",
            "PVST+ to a station",
            VendorControl,
            snap([0, 0, 0x0c], 0x010b, &[0]),
        ),
        both(
            "lldp_snap",
            "LLDP over SNAP",
            Lldp,
            snap([0; 3], 0x88cc, &[0; 8]),
        ),
    ]
}

pub(super) fn types() -> Vec<Vector> {
    let of = |kind| frame(kind, &[0; 46]);
    vec![
        both(
            "pause",
            "PAUSE to a station (0x8808)",
            MacControl,
            of(0x8808),
        ),
        both(
            "lacp",
            "LACP to a station (0x8809)",
            SlowProtocol,
            of(0x8809),
        ),
        both("lldp", "LLDP to a station (0x88CC)", Lldp, of(0x88cc)),
        both("eapol", "EAPOL to a station (0x888E)", Eapol, of(0x888e)),
        both(
            "preauthentication",
            "802.11i pre-authentication (0x88C7)",
            Eapol,
            of(0x88c7),
        ),
        both("macsec", "MACsec (0x88E5)", Macsec, of(0x88e5)),
        both("ptp", "PTP (0x88F7)", Ptp, of(0x88f7)),
        both("mvrp", "MVRP (0x88F5)", Mrp, of(0x88f5)),
        both("mmrp", "MMRP (0x88F6)", Mrp, of(0x88f6)),
        both("msrp", "MSRP (0x22EA)", Mrp, of(0x22ea)),
        both("cfm", "CFM (0x8902)", Cfm, of(0x8902)),
        both("ectp", "ECTP loop-back (0x9000)", LoopProtocol, of(0x9000)),
        both(
            "loop_protect",
            "MikroTik loop protect (0x9003)",
            LoopProtocol,
            of(0x9003),
        ),
        both("rrcp", "Realtek remote control (0x8899)", Rrcp, of(0x8899)),
        both(
            "hsr",
            "redundancy rings (0x88FB, 0x892F, 0x88E3)",
            VendorControl,
            of(0x892f),
        ),
        both("trill", "TRILL (0x22F3)", SpanningTree, of(0x22f3)),
        remote(
            "pppoe_discovery",
            "PPPoE discovery (0x8863)",
            Pppoe,
            of(0x8863),
        ),
        remote("pppoe_session", "PPPoE session (0x8864)", Pppoe, of(0x8864)),
        remote("mpls", "MPLS (0x8847)", EtherType, of(0x8847)),
        remote("rarp", "reverse ARP (0x8035)", EtherType, of(0x8035)),
        remote("ethercat", "EtherCAT (0x88A4)", EtherType, of(0x88a4)),
        remote("profinet", "PROFINET (0x8892)", EtherType, of(0x8892)),
        remote("goose", "IEC 61850 GOOSE (0x88B8)", EtherType, of(0x88b8)),
        remote(
            "fcoe",
            "Fibre Channel and its initialisation (0x8906, 0x8914)",
            EtherType,
            of(0x8906),
        ),
        remote("ata", "ATA over Ethernet (0x88A2)", EtherType, of(0x88a2)),
        remote(
            "probe",
            "the gateway's own probes (0x88B5)",
            GatewayProbe,
            of(0x88b5),
        ),
        remote(
            "local_experimental",
            "other local experiments (0x88B6)",
            EtherType,
            of(0x88b6),
        ),
        remote("wake_on_lan", "Wake-on-LAN (0x0842)", EtherType, of(0x0842)),
        remote("unknown_type", "any other EtherType", EtherType, of(0xbeef)),
    ]
}
