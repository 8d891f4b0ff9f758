"""Plans are read as `sqitch` reads them: the same ids for what is good, a line for what is not."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from tenantry.errors import ChangeAmbiguous, PlanInvalid, RevisionUnknown
from tenantry.fleet.sqitch.parsing import parse_plan, read_plan
from tenantry.fleet.sqitch.plan import Plan

from .command import needs_sqitch, perl
from .projects import helpdesk

HEAD = "%syntax-version=1.0.0\n%project=p\n"
AT = "2024-01-02T03:04:05Z Ann B <ann@x.org>"
ID = "6dd5a788ac43ae432c21b9ca26694a694e19eaf8"

# Each is one plan; what the program makes of it, ours makes of it. None depends on an id without its project: over
# that the program calls itself without end.
GOOD = {
    "bare": f"{HEAD}\na {AT}\n",
    "no end of line": f"{HEAD}\na {AT}",
    "carriage returns": f"%project=p\r\n\r\na {AT} # n\r\n",
    "remarks between pragmas": f"# one\n%project=p # two\n# 0\na {AT}",
    "blanks around pragmas": f"# c\n  % project =  p-1 \n\n\ta {AT}",
    "a later pragma wins": f"%project=p\n%project=q\n\na {AT}",
    "pragmas nobody knows": f"%project=p\n% odd\n%other=x y\n\na {AT}",
    "no changes": "%project=p\n\n",
    "no blank line either": "%project=p",
    "uri": f"{HEAD}%uri=https://example.org/p/\n\na {AT} # x\n",
    "uri of a host alone": f"{HEAD}%uri=https://Ex.org\n\na {AT} # x\n",
    "uri with its default port": f"{HEAD}%uri=https://ex.org:443?q=1\n\na {AT}\n",
    "uri with another port": f'{HEAD}%uri=http://ex.org:8080/%c3%a4[x]|"\n\na {AT}\n',
    "uri with an empty port": f"{HEAD}%uri=HTTPS://u:p@ex.org:/x?y=%aa#f\n\na {AT}\n",
    "uri of ssh": f"{HEAD}%uri=ssh://u@HoSt:22/a\n\na {AT}\n",
    "uri of ftp": f"{HEAD}%uri=ftp://ex.org:21\n\na {AT}\n",
    "uri of git": f"{HEAD}%uri=git:foo/Bar%7E\n\na {AT}\n",
    "uri without a scheme": f"{HEAD}%uri=foo bar\n\na {AT}\n",
    "uri with umlauts": f"{HEAD}%uri=http://Example.com:80/flipr%7e/ä b\n\na {AT}\n",
    "uri without a value": f"{HEAD}%uri\n\na {AT}\n",
    "operators": f"%project=p\n\n+ a {AT}\n  - b  {AT}\n",
    "dependencies": f"%project=p\n\na {AT}\nb [a  !x p:a q:r@t] {AT}",
    "one required and conflicting": f"%project=p\n\na {AT}\nb [a !a] {AT}",
    "dependency on a tag": f"%project=p\n\na {AT}\n@t {AT}\nb [@t] {AT}",
    "dependency on an id": f"%project=p\n\na {AT}\nb [q:{ID} !q:{ID}] {AT}",
    "dependency of another project": f"%project=p\n\na {AT}\nb [nope:a] {AT}",
    "names of all sorts": f"%project=p\n\n_a_ {AT}\na-b/c.d {AT}\n1a {AT}\na~2x {AT}\na=3b {AT}\nä\u00a0{AT} # ñ",
    "planners of all sorts": "%project=p\n\na 2024-01-02T03:04:05Z Änn O'Neil, (x) <ä@x>",
    "notes with escapes": f"%project=p\n\na {AT}\n@t {AT} #  tag note \\\\ \\n z",
    "a note in a note": f"%project=p\n\na {AT} # x # y\n",
    "a note of nought": f"%project=p\n\na {AT} # 0\nb {AT} # 0 ",
    "a note of blanks": f"%project=p\n\n# \na {AT} #  ",
    "several tags": f"%project=p\n\na {AT}\n@t {AT}\n@u {AT}",
    "a rework": f"%project=p\n\na {AT}\n@t {AT}\na [a@t] {AT} # 0",
    "a rework after several tags": f"%project=p\n\na {AT}\n@t {AT}\nb {AT}\n@u {AT}\n@v {AT}\na [a@u] {AT}",
    "two reworks": f"%project=p\n\na {AT}\n@t {AT}\na [a@t] {AT}\n@u {AT}\na [a@u b:c] {AT}\n",
    "nearly an id": f"%project=p\n\n{'a' * 39}g {AT}",
}

# Each with the line at fault and what is said about it.
BAD = {
    "empty": ("", 1, "%project"),
    "no project": (f"%syntax-version=1.0.0\n\na {AT}", 2, "%project"),
    "a blank line first": (f"\n{HEAD}\na {AT}\n", 1, "%project"),
    "a project called nought": (f"%project=0\n\na {AT}", 2, "%project"),
    "a project without a name": (f"%project\n\na {AT}", 1, "project's name"),
    "a project with a bad name": (f"%project=p@x\n\na {AT}", 1, "p@x"),
    "no blank line": (f"%project=p\na {AT}\n", 2, "first blank line"),
    "a pragma without a value": (f"%project=p\n%bar=\n\na {AT}", 2, "first blank line"),
    "a lone hash": (f"%project=p\n\n#\na {AT}", 3, "name"),
    "empty dependencies": (f"%project=p\n\na {AT}\n+b[] {AT}", 4, "name"),
    "a dependency on nothing": (f"%project=p\n\na {AT}\nb [ a] {AT}", 4, "no dependency"),
    "a bad dependency": (f"%project=p\n\na {AT}\nb [a:b:c] {AT}", 4, "a:b:c"),
    "an unknown dependency": (f"%project=p\n\na [b] {AT}", 3, "requires b"),
    "an unknown dependency of its own": (f"%project=p\n\na {AT}\nb [p:nope] {AT}", 4, "requires nope"),
    "a dependency that comes later": (f"%project=p\n\na {AT}\nb [c] {AT}\nc {AT}", 4, "requires c"),
    "a dependency on itself": (f"%project=p\n\na [a] {AT}", 3, "itself"),
    "a dependency twice": (f"%project=p\n\na {AT}\nb [a a] {AT}", 4, "twice"),
    "a dependency as of an unknown tag": (f"%project=p\n\na {AT}\nb [a@t] {AT}", 4, "a@t"),
    "an unknown tag": (f"%project=p\n\na {AT}\nb [@t] {AT}", 4, "@t"),
    "a dependency on what was reworked": (
        f"%project=p\n\na {AT}\n@t {AT}\na [a@t] {AT}\n@u {AT}\nb [a@t] {AT}",
        7,
        "requires a@t",
    ),
    "no blank before dependencies": (f"%project=p\n\na {AT}\nb[a] {AT}", 4, "name"),
    "no date": ("%project=p\n\na Ann <b@c>", 3, "date"),
    "no planner": ("%project=p\n\na 2024-01-02T03:04:05Z", 3, "planner"),
    "a name alone": ("%project=p\n\na", 3, "date"),
    "a month too many": ("%project=p\n\na 2024-13-02T03:04:05Z A <b@c>", 3, "no date"),
    "a day too many": ("%project=p\n\na 2024-02-30T03:04:05Z A <b@c>", 3, "no date"),
    "an hour too many": ("%project=p\n\na 2024-02-20T25:04:05Z A <b@c>", 3, "no date"),
    "something before the date": ("%project=p\n\na foo 2024-02-20T05:04:05Z A <b@c>", 3, "name"),
    "something after the planner": (f"%project=p\n\na {AT} x", 3, "name"),
    "a name that runs into the date": ("%project=p\n\na2024-01-02T03:04:05Z Ann <x@y>", 3, "name"),
    "two names": (f"%project=p\n\na b {AT}", 3, "name"),
    "a reserved name": (f"%project=p\n\nHEAD {AT}", 3, "reserved"),
    "a name that looks like an id": (f"%project=p\n\n{'a' * 40} {AT}", 3, "id"),
    "a name with an at": (f"%project=p\n\na@b {AT}", 3, "name"),
    "a name with an offset": (f"%project=p\n\na~2 {AT}", 3, "name"),
    "a name that ends in a dash": (f"%project=p\n\na- {AT}", 3, "name"),
    "a name of nought": (f"%project=p\n\n0 {AT}", 3, "name"),
    "a change twice": (f"%project=p\n\na {AT}\nb {AT}\na {AT}", 5, "line 3"),
    "a tag first": (f"%project=p\n\n@t {AT}", 3, "before any change"),
    "a tag twice": (f"%project=p\n\na {AT}\n@t {AT}\n@t {AT}", 5, "line 4"),
    "a tag with a slash": (f"%project=p\n\na {AT}\n@t/x {AT}", 4, "'/'"),
    "a tag with dependencies": (f"%project=p\n\na {AT}\n@t [a] {AT}", 4, "dependencies"),
}

# Reads each file named in plans.txt and says what it makes of it.
ORACLE = r"""
use utf8; use JSON::PP; use Path::Class qw(file);
use App::Sqitch; use App::Sqitch::Config; use App::Sqitch::Target; use App::Sqitch::Plan;
my $config = App::Sqitch::Config->new; $config->load;
my $sqitch = App::Sqitch->new(config => $config);
my $target = App::Sqitch::Target->new(sqitch => $sqitch);
my @found;
for my $name (split /\n/, file('plans.txt')->slurp) {
    my $plan = App::Sqitch::Plan->new(sqitch => $sqitch, target => $target, file => file($name));
    my $read = eval { [map {
        my $change = $_;
        { id => $change->id, name => $change->name, note => $change->note, file => '' . $change->deploy_file,
          requires => [map { $_->as_string } $change->requires],
          conflicts => [map { $_->as_string } $change->conflicts],
          tags => [map { [$_->id, $_->format_name, $_->note] } $change->tags] }
    } $plan->changes] };
    push @found, $read ? { uri => $plan->uri ? '' . $plan->uri : undef, changes => $read } : undef;
}
print JSON::PP->new->utf8->encode(\@found);
"""


def asked(folder: Path, plans: list[str]) -> list[object]:
    """Returns what the program makes of each plan; None where it refuses one."""
    (folder / "sqitch.conf").write_text("[core]\n\tengine = sqlite\n")
    for number, plan in enumerate(plans):
        (folder / f"{number}.plan").write_text(plan, newline="")
    (folder / "plans.txt").write_text("\n".join(f"{number}.plan" for number in range(len(plans))))
    found: list[object] = json.loads(perl(folder, ORACLE))
    return found


def ours(plan: str) -> object:
    """Returns the same of ours."""
    try:
        read = parse_plan(plan.encode(), Path("sqitch.plan"))
    except PlanInvalid:
        return None
    return {"uri": read.uri, "changes": [_shown(read, change) for change in read.changes]}


def _shown(plan: Plan, change: object) -> dict[str, object]:
    name = f"{change.name}@{change.reworked_at[0]}" if change.reworked_at else change.name
    return {
        "id": change.id,
        "name": change.name,
        "note": change.note,
        "file": f"deploy/{name}.sql",
        "requires": [dependency.text(plan.project) for dependency in change.requires],
        "conflicts": [dependency.text(plan.project) for dependency in change.conflicts],
        "tags": [[tag.id, str(tag), tag.note] for tag in change.tags],
    }


class TestBesideTheProgram:
    pytestmark = needs_sqitch

    def test_good_plans_have_its_ids(self, tmp_path):
        found = asked(tmp_path, list(GOOD.values()))
        assert {name: ours(plan) for name, plan in GOOD.items()} == dict(zip(GOOD, found, strict=True))
        assert [name for name, read in zip(GOOD, found, strict=True) if read is None] == []
        assert len(found) >= 30

    def test_what_it_refuses_is_refused(self, tmp_path):
        found = asked(tmp_path, [plan for plan, _, _ in BAD.values()])
        assert dict.fromkeys(BAD) == dict(zip(BAD, found, strict=True))

    def test_plans_at_random(self, tmp_path):
        """Plans put together from pieces that are nearly right: accepted and refused alike, with the same ids."""
        chance = random.Random(20240302)
        plans = [_random_plan(chance) for _ in range(400)]
        found = asked(tmp_path, plans)
        for plan, theirs in zip(plans, found, strict=True):
            assert ours(plan) == theirs, plan
        assert 100 < sum(read is not None for read in found) < 390

    def test_the_helpdesk(self, tmp_path):
        plan = helpdesk(tmp_path / "project", "sqlite").folder / "sqitch.plan"
        assert [ours(plan.read_text())] == asked(tmp_path / "project", [plan.read_text()])


def _random_plan(chance: random.Random) -> str:
    lines = [chance.choice(["%project=p", "%project=p-1", "%project=p", " %project = p"])]
    if chance.random() < 0.5:
        lines.append(
            chance.choice(["%uri=https://Ex.org/A%7eb", "%uri=http://ex.org:80", "%uri=x:y", "# remark", "%odd"])
        )
    lines += ["", f"a {AT}", f"@t0 {AT}"]
    names, tags = ["a"], ["t0"]
    for number in range(chance.randint(1, 7)):
        names.append(chance.choice([f"n{number}", f"d/{number}", f"f.{number}g", f"é{number}", "a", "b", "x-y", "z="]))
        kind = chance.random()
        if kind < 0.3:
            tags.append(chance.choice([f"t{number}", f"v1.{number}", f"t-{number}", f"ü{number}", "t0"]))
            lines.append(f"@{tags[-1]} {AT}{_random_note(chance)}")
        else:
            needs = [_random_need(chance, names, tags) for _ in range(chance.choice([0, 0, 1, 1, 2]))]
            lines.append(f"{names[-1]}{f' [{chr(32).join(needs)}]' if needs else ''} {AT}{_random_note(chance)}")
        if chance.random() < 0.1:
            lines.append(chance.choice(["", "# remark", "  ", "\t# x", "#"]))
    return "\n".join(lines)


def _random_note(chance: random.Random) -> str:
    return chance.choice(["", " # note", " #", " # \\n x \\\\", "  # ü # 2", " # 0"])


def _random_need(chance: random.Random, names: list[str], tags: list[str]) -> str:
    name, tag = chance.choice(names[:-1] or names), chance.choice(tags)
    return chance.choice(
        [name, name, f"!{name}", f"{name}@{tag}", f"@{tag}", f"q:{name}", f"p:{name}", f"q:{ID}", f"!q:{name}@{tag}"]
    )


@pytest.mark.parametrize("name", BAD)
def test_a_fault_is_said_with_its_line(name):
    plan, line, words = BAD[name]
    with pytest.raises(PlanInvalid) as refused:
        parse_plan(plan.encode(), Path("sqitch.plan"))
    assert refused.value.line == line
    assert words in str(refused.value)
    assert str(refused.value).startswith(f"sqitch.plan, line {line}: ")


def test_what_is_no_text_is_said_with_its_line():
    with pytest.raises(PlanInvalid, match="line 3: This is not UTF-8"):
        parse_plan(f"%project=p\n\na {AT} # ".encode() + b"\xff\n", Path("sqitch.plan"))


@pytest.mark.parametrize("uri", ["file:///srv/p", "urn:isbn:1", "mailto:a@b.c", "http://exämple.org/", "http://[::1]/"])
def test_a_uri_whose_ids_are_not_known_is_refused(uri):
    with pytest.raises(PlanInvalid, match="kind of URI"):
        parse_plan(f"%project=p\n%uri={uri}\n\na {AT}".encode(), Path("sqitch.plan"))


@pytest.fixture
def plan(tmp_path):
    return read_plan(helpdesk(tmp_path / "project", "pg").folder / "sqitch.plan")


def test_names_find_their_changes(plan):
    places = {
        "companies": 0,
        "@ROOT": 0,
        "ROOT": 0,
        "@v1": 1,
        "tickets@v1": 1,
        "tickets@HEAD": 1,
        "overview@v2": 2,
        "overview@v2-rc1": 2,
        "@v2": 3,
        "@v1~2": 3,
        "@v1^": 0,
        "@ROOT~~": 2,
        "@HEAD^^": 3,
        "@HEAD^2": 3,
        "overview@HEAD": 4,
        "@HEAD": 5,
        "subjects": 5,
        plan.changes[3].id: 3,
        plan.changes[3].id[:10]: 3,
    }
    assert {name: plan.changes.index(plan.find(name)) for name in places} == places


@pytest.mark.parametrize("name", ["nothing", "@v9", "notes@v1", "@ROOT^", "@HEAD~", "companies@v9", "ffffff", ""])
def test_what_no_change_is_called_is_unknown(plan, name):
    with pytest.raises(RevisionUnknown):
        plan.find(name)


def test_a_name_of_several_is_ambiguous(plan):
    with pytest.raises(ChangeAmbiguous, match="overview@HEAD, overview@v2-rc1"):
        plan.find("overview")
