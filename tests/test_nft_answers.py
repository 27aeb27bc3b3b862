"""nf_tables messages without a kernel: what changes become, and what answers mean."""

import errno
import random
import struct
import subprocess
import sys
from typing import Iterator, List, Sequence, Tuple

import pytest

from netmgr.values.outcomes import Fault
from netmgr.values.sets import IFNAME, IPV4_ADDR, IPV6_ADDR, Change, ChangeElements, Contents, CreateSet, CreateTable, Form, SetName
from netmgr.wire import nft_answers, nft_write
from netmgr.wire.netlink import ACCEPTED, HEADER, NLM_F_ACK, NLM_F_CAPPED, NLMSG_ERROR, Ack, attributes, messages
from tests.nftables import ADD, DELETE, DESTROY, NAME, PLAIN, RANGES, TOP, dumped, ip, span


def added(parts: Sequence[nft_answers.Part], form: Form) -> Contents:
    """What a kernel would hold that was sent these parts."""
    return dumped(b"".join(part.data for part in parts), form).contents()


def parts_of(*changes: Change, destroy: bool = True) -> List[nft_answers.Part]:
    return nft_write.Writer().parts(100, changes, destroy)


def header(part: nft_answers.Part) -> Tuple[int, ...]:
    return HEADER.unpack_from(part.data)


def test_a_message_in_bytes() -> None:
    (part,) = parts_of(ChangeElements(NAME, PLAIN, (), [ip(1)]))
    assert part.data.hex(" ", 4) == (
        "48000000 0c0a0104 65000000 00000000"           # nlmsghdr: NEWSETELEM, REQUEST|CREATE, 101
        " 01000000"                                     # nfgenmsg: inet
        " 06000100 74000000"                            # TABLE t
        " 06000200 73000000"                            # SET s
        " 24000380"                                     # ELEMENTS
        " 20000180"                                     # LIST_ELEM
        " 0c000180 08000100 0a000001"                   # KEY { VALUE 10.0.0.1 }
        " 0d000600 00076e65 746d6772 00000000"          # USERDATA: comment "netmgr"
    )
    assert part[1:] == (NAME, "add", 0)


def test_a_range_is_a_start_with_the_comment_and_an_end() -> None:
    (part,) = parts_of(ChangeElements(NAME, RANGES, (), [span(0, 255)]))
    assert part.data[36:].hex(" ", 4) == (
        "3c000380"
        " 20000180 0c000180 08000100 0a000000 0d000600 00076e65 746d6772 00000000"
        " 18000180 0c000180 08000100 0a000100 08000300 00000001"
    )


def test_a_range_to_the_top_has_no_end_and_nfts_mark() -> None:
    (part,) = parts_of(ChangeElements(NAME, RANGES, (), [b"\xf0\0\0\0" + TOP]))
    assert part.data[40:].hex(" ", 4) == "24000180 0c000180 08000100 f0000000 13000600 00076e65 746d6772 00010401 00000000"
    (part,) = parts_of(ChangeElements(NAME, RANGES, [b"\xf0\0\0\0" + TOP], ()))
    assert part.data[40:].hex(" ", 4) == "10000180 0c000180 08000100 f0000000"


def test_adds_in_a_set_with_timeouts_never_expire() -> None:
    (part,) = parts_of(ChangeElements(NAME, Form(IPV4_ADDR, timeout=True), (), [ip(1)]))
    assert part.data[40:].hex(" ", 4).startswith("2c000180 0c000180 08000100 0a000001 0c000400 00000000 00000000 0d000600")
    (part,) = parts_of(ChangeElements(NAME, Form(IPV4_ADDR, interval=True, timeout=True), (), [span(1, 1)]))
    start, end = (attributes(element) for element in _elements(part))
    assert 4 in start and 4 not in end and 6 not in end


def _elements(part: nft_answers.Part) -> Iterator[memoryview]:
    rest = attributes(next(messages(part.data)).payload[4:])[3]
    while rest:
        length = struct.unpack_from("=H", rest)[0]
        yield rest[4:length]
        rest = rest[(length + 3) & ~3:]


ALIKE = [Form(kind, timeout=timeout) for kind in (IPV4_ADDR, "ipv6_addr", "ifname", "ether_addr", "iface_index", "ifname . ipv4_addr",
                                                  "ether_addr . ipv4_addr") for timeout in (False, True)]


@pytest.mark.parametrize("form", [*ALIKE, RANGES, Form("ifname", value="mark")])
@pytest.mark.parametrize("destroy", [False, True])
def test_a_message_about_one_element_says_what_it_says_beside_another(form: Form, destroy: bool) -> None:
    dice, writer = random.Random("%s%s" % (form, destroy)), nft_write.Writer()
    stride = form.keys + (4 if form.value else 0)
    for seq in range(100, 200):
        low, high = sorted(bytes(dice.choices((0, 0xFF, 0xA5, dice.randrange(256)), k=form.width)) for _end in range(2))
        one = low + high if form.interval else bytes(dice.choices((0, 0xFF, 0xA5, dice.randrange(256)), k=stride))
        several = (one,) * (nft_write.FEW + 1)
        for few, many in (((one,), (), ()), (several, (), ())), (((), (one,), ()), ((), several, ())), (
                ((), (), (one,)), ((), (), several)):
            (alone,), (both,) = (writer.parts(seq, [ChangeElements(NAME, form, *each)], destroy) for each in (few, many))
            assert alone[1:] == both[1:] and header(alone)[0] == len(alone.data) and header(alone)[1:] == header(both)[1:]
            heads = [alone.data[16:alone.data.index(NAME.name.encode())], both.data[16:both.data.index(NAME.name.encode())]]
            assert heads[0] == heads[1]
            elements = list(_elements(alone))
            assert elements and elements == list(_elements(both))[:len(elements)]


def test_deletes_carry_the_key_alone() -> None:
    (part,) = parts_of(ChangeElements(NAME, Form(IPV4_ADDR, timeout=True), [ip(1)], ()))
    assert part.data[40:].hex(" ", 4) == "10000180 0c000180 08000100 0a000001"


def test_deletes_destroy_but_never_in_ranges() -> None:
    change, ranges = ChangeElements(NAME, PLAIN, [ip(1)], ()), ChangeElements(NAME, RANGES, [span(1, 2)], ())
    assert [header(part)[1] for part in parts_of(change, ranges)] == [DESTROY, DELETE]
    assert [header(part)[1] for part in parts_of(change, ranges, destroy=False)] == [DELETE, DELETE]


def test_creations_then_deletes_then_adds_of_all_sets() -> None:
    other = NAME._replace(name="o")
    parts = parts_of(
        ChangeElements(NAME, PLAIN, [ip(1)], [ip(2)]), CreateTable("inet", "t"), ChangeElements(other, PLAIN, [ip(3)], [ip(4)]),
        CreateSet(NAME, Form(IPV4_ADDR)))
    assert [(part.operation, part.set) for part in parts] == [
        ("create", None), ("create", NAME), ("delete", NAME), ("delete", other), ("add", NAME), ("add", other)]
    assert [header(part)[3] for part in parts] == list(range(101, 107))


def test_a_change_without_elements_says_nothing() -> None:
    assert parts_of(ChangeElements(NAME, PLAIN, (), ()), ChangeElements(NAME, RANGES, [], [])) == []


@pytest.mark.parametrize(("kind", "type_number", "width", "byteorder"), [(IPV4_ADDR, 7, 4, 2), (IPV6_ADDR, 8, 16, 2), (IFNAME, 41, 16, 1)])
def test_a_created_set_is_described_as_nft_does(kind: str, type_number: int, width: int, byteorder: int) -> None:
    table, created = parts_of(CreateTable("ip6", "t"), CreateSet(NAME, Form(kind)))
    assert attributes(table.data[20:]) == {1: b"t\0"} and table.data[16] == 10
    found = {key: bytes(value) for key, value in attributes(created.data[20:]).items()}
    assert found.pop(10) != bytes(4)        # NFTA_SET_ID
    assert found == {
        1: b"t\0", 2: b"s\0", 3: bytes(4), 4: type_number.to_bytes(4, "big"), 5: width.to_bytes(4, "big"),
        13: b"\0\4" + struct.pack("=I", byteorder) + b"\xc8\x07netmgr\0"}


def test_a_transaction_asks_for_one_acknowledgement() -> None:
    parts = parts_of(ChangeElements(NAME, PLAIN, [ip(1)], [ip(2)]))
    sent = list(messages(nft_write.transaction(100, parts, 103)))
    assert [(message.type, message.seq) for message in sent] == [(16, 100), (DESTROY, 101), (ADD, 102), (17, 103)]
    assert [bool(message.flags & NLM_F_ACK) for message in sent] == [False, False, False, True]
    assert [bytes(message.payload[:4]) for message in sent[::3]] == [b"\0\0\0\x0a"] * 2
    assert attributes(sent[0].payload[4:]) == {1: bytes(4)}
    assert len(sent[3].payload) == 4


def test_a_transaction_for_one_generation() -> None:
    parts = parts_of(ChangeElements(NAME, PLAIN, [], [ip(1)]))
    data = nft_write.transaction(100, parts, 102, 0x01020304)
    assert [message.seq for message in messages(data)] == [100, 101, 102]
    assert attributes(next(messages(data)).payload[4:]) == {1: b"\1\2\3\4"}


@pytest.mark.parametrize(("number", "problem"), [(100, errno.ERESTART), (101, errno.ERESTART), (100, errno.EPERM)])
def test_the_kernel_refuses_what_is_meant_for_another_generation(number: int, problem: int) -> None:
    answers = [(number, Ack(problem, "", 0)), (102, Ack(0, "", 0))]
    assert nft_answers.overtaken(100, answers) == ((number, problem) == (100, errno.ERESTART))


@pytest.mark.parametrize("form", [
    PLAIN, RANGES, Form(IPV6_ADDR), Form(IPV6_ADDR, interval=True), Form(IFNAME, timeout=True), Form(IPV6_ADDR, True, True)])
def test_what_is_written_reads_back_whatever_its_number(form: Form) -> None:
    generator = random.Random(7)
    for count in (1, 2, 1500, 4094, 4095, 10000):
        elements = some_elements(generator, form, count)
        parts = parts_of(ChangeElements(NAME, form, (), elements))
        assert all(len(part.data) - 36 <= 0xFFFF for part in parts)
        assert added(parts, form) == Contents(frozenset(elements), frozenset(), frozenset())


def some_elements(generator: random.Random, form: Form, count: int) -> List[bytes]:
    keys = sorted({generator.randbytes(form.width) for _ in range(2 * count)})
    if not form.interval:
        return keys[:count]
    keys[-1] = b"\xff" * form.width
    return [first + last for first, last in zip(keys[0::2], keys[1::2])]


def test_adjacent_ranges_read_back_as_they_were() -> None:
    ranges = [span(0, 0), span(1, 1), span(2, 9), span(10, 10), ip(11) + TOP]
    assert added(parts_of(ChangeElements(NAME, RANGES, (), ranges)), RANGES).ours == frozenset(ranges)


def test_the_whole_space_is_a_range() -> None:
    assert added(parts_of(ChangeElements(NAME, RANGES, (), [bytes(4) + TOP])), RANGES).ours == {bytes(4) + TOP}


@pytest.mark.parametrize(("form", "element"), [
    (PLAIN, b"abc"), (PLAIN, b"abcde"), (PLAIN, b""), (RANGES, b"abcd"), (RANGES, ip(2) + ip(1)), (Form(IFNAME), b"eth0")])
def test_elements_that_are_not_of_the_form_are_refused(form: Form, element: bytes) -> None:
    with pytest.raises(ValueError, match="inet t s"):
        parts_of(ChangeElements(NAME, form, (), [element]))
    with pytest.raises(ValueError, match="inet t s"):
        parts_of(ChangeElements(NAME, PLAIN, (), [b"abc", b"abcde"]))


@pytest.mark.parametrize("name", ["", "x" * 256, "a\0b", "ä" * 128])
def test_names_that_cannot_be_are_refused(name: str) -> None:
    bad_set, bad_table = SetName("inet", "t", name), SetName("inet", name, "s")
    changes: List[Change] = [CreateTable("inet", name), CreateSet(bad_set, Form(IPV4_ADDR)), CreateSet(bad_table, Form(IPV4_ADDR))]
    for change in [*changes, ChangeElements(bad_set, PLAIN, (), [ip(1)])]:
        with pytest.raises(ValueError, match="not a name"):
            parts_of(change)


def test_the_longest_names_and_many_elements_fit() -> None:
    name = SetName("inet", "t" * 255, "s" * 255)
    elements = [ip(number) for number in range(9000)]
    parts = parts_of(CreateTable("inet", "t" * 255), CreateSet(name, Form(IPV4_ADDR)), ChangeElements(name, PLAIN, (), elements))
    assert added(parts, PLAIN).ours == frozenset(elements)
    assert attributes(parts[-1].data[20:])[2] == b"s" * 255 + b"\0"


def test_transactions_are_split_only_where_they_must() -> None:
    parts = parts_of(ChangeElements(NAME, PLAIN, [ip(1)], [ip(number) for number in range(20000)]))
    size = len(nft_write.transaction(100, parts, 200, 1))
    assert list(nft_write.split(parts, size)) == [parts]
    pieces = list(nft_write.split(parts, size - 1))
    assert [part for piece in pieces for part in piece] == parts and len(pieces) == 2
    assert pieces[0][0].operation == "delete" and pieces[0][1].operation == "add"
    assert [len(piece) for piece in nft_write.split(parts, 1)] == [1] * len(parts)
    assert list(nft_write.split([], 1000)) == []


def faults(change: Change, *answers: Tuple[int, Ack]) -> Tuple[Fault, ...]:
    return nft_answers.faults(parts_of(change), 100, answers)


def test_offsets_become_positions() -> None:
    change = ChangeElements(NAME, PLAIN, (), [ip(number) for number in range(5000)])
    stride, first = 32, 40
    for position in (0, 1, 2, 2000):
        (fault,) = faults(change, (101, Ack(errno.ENFILE, "", first + position * stride)))
        assert fault == Fault(NAME, errno.ENFILE, "the set is full", "add", position, False)
        (fault,) = faults(change, (101, Ack(errno.ENFILE, "", first + position * stride + 8)))
        assert fault.position == position
    third = parts_of(change)[2].first
    assert faults(change, (103, Ack(errno.ENFILE, "", first + stride)))[0].position == third + 1 > 4000


def test_what_a_kernel_knows_is_told_by_what_it_refuses() -> None:
    sent = list(messages(nft_write.Writer().probe(100)))
    assert [(message.type, message.seq) for message in sent] == [(16, 100), (DESTROY, 101)]
    assert nft_answers.knows(100, [(101, Ack(errno.ENOENT, "", 20))])
    assert not nft_answers.knows(100, [(101, Ack(errno.EINVAL, "", 0))]) and not nft_answers.knows(100, [])


def test_both_halves_of_a_range_are_one_position() -> None:
    change = ChangeElements(NAME, RANGES, (), [span(0, 9), ip(20) + TOP, span(10, 15)])
    offsets = {40: 0, 72: 0, 96: 1, 136: 2, 168: 2}
    for offset, position in offsets.items():
        assert faults(change, (101, Ack(errno.EEXIST, "", offset)))[0].position == position


def test_what_is_gone_is_told_from_an_element_that_is_not_there() -> None:
    change = ChangeElements(NAME, PLAIN, [ip(1)], ())
    assert faults(change, (101, Ack(errno.ENOENT, "", 20)))[0][2:] == ("the set or its table is missing", "delete", None, True)
    assert faults(change, (101, Ack(errno.ENOENT, "", 28)))[0].gone
    assert faults(change, (101, Ack(errno.ENOENT, "", 40)))[0][2:] == ("an element to be removed is not there", "delete", 0, False)
    assert faults(change, (101, Ack(errno.ENOENT, "", 0)))[0][4:] == (None, False)
    assert faults(CreateSet(NAME, Form(IPV4_ADDR)), (101, Ack(errno.ENOENT, "", 20)))[0].gone


def test_trouble_with_the_whole_transaction_is_no_sets() -> None:
    change = ChangeElements(NAME, PLAIN, [ip(1)], ())
    (fault,) = faults(change, (100, Ack(errno.EPERM, "", 0)))
    assert fault == Fault(None, errno.EPERM, "not permitted: CAP_NET_ADMIN is needed", "", None, False)
    assert faults(change, (102, Ack(errno.ENOMEM, "", 0)))[0].set is None
    assert faults(change, (102, Ack(0, "", 0))) == ()


def test_the_same_trouble_is_told_once() -> None:
    change = ChangeElements(NAME, PLAIN, (), [ip(number) for number in range(9000)])
    found = faults(change, (101, Ack(errno.ENFILE, "", 40 + 32 * 5)), (102, Ack(errno.ENFILE, "", 40)), (103, Ack(errno.ENFILE, "", 40)))
    assert [fault.position for fault in found] == [5]


def test_every_fault_has_plain_words() -> None:
    for number in errno.errorcode:
        for operation in ("add", "delete", "create"):
            part = nft_answers.Part(parts_of(ChangeElements(NAME, PLAIN, (), [ip(1)]))[0].data, NAME, operation, 0)
            (fault,) = nft_answers.faults([part], 100, [(101, Ack(number, "", 40))])
            assert fault.reason and (fault.errno, fault.operation) == (number, operation)


def test_only_answers_of_this_transaction_count() -> None:
    def answer(seq: int, kind: int = NLMSG_ERROR) -> bytes:
        return HEADER.pack(36, kind, 0, seq, 0) + struct.pack("=i", -1) + bytes(16)
    found = nft_answers.acks([answer(99), answer(100) + answer(102), answer(103), answer(101, 3)], 100, 102)
    assert found == [(100, Ack(1, "", 0)), (102, Ack(1, "", 0))]


def test_the_usual_acknowledgement_is_known_at_sight_and_everything_else_is_not() -> None:
    usual = HEADER.pack(36, NLMSG_ERROR, NLM_F_CAPPED, 102, 7) + bytes(4) + HEADER.pack(20, 17, 5, 102, 0)
    assert nft_answers.accepts(usual, 102) and nft_answers.acks([usual], 102, 102) == [(102, ACCEPTED)]
    assert not nft_answers.accepts(usual, 103)
    for cut in range(len(usual)):
        assert not nft_answers.accepts(usual[:cut], 102)
    for place in (*range(12), *range(16, 20)):
        assert not nft_answers.accepts(usual[:place] + bytes([usual[place] ^ 1]) + usual[place + 1:], 102)
    assert not nft_answers.accepts(usual + usual, 102)


def test_the_codec_needs_no_more_of_cffi_than_its_backend() -> None:
    program = "import sys; sys.modules['cffi'] = None; from netmgr.wire import nft_read; sys.exit('pycparser' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
