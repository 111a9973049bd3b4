"""Which prototypes a draft is near to."""

from attrs import evolve

from scribe_core.skills import Routing, digest_of
from scribe_core.skills.near import nearest
from scribe_core.testing import sample_prototype


def prototype(name, text, *exemplars):
    plain = sample_prototype(id=name, when_to_use=text, routing=Routing(exemplars=exemplars))
    return evolve(plain, digest=digest_of(plain))


DRAFT = prototype("draft", "a tool is called", "one call made")


def test_the_nearest_come_first():
    same, half, other = (
        prototype("same", "a tool is called", "one call made"),
        prototype("half", "a tool is called", "text answer"),
        prototype("other", "numbers add up"),
    )
    found = nearest(DRAFT, [other, half, same], most=2)
    assert [each.prototype.id for each in found] == ["same", "half"]
    assert found[0].share == 1
    assert 0 < found[1].share < 1


def test_it_is_not_near_to_itself_but_to_another_of_its_name():
    assert nearest(DRAFT, [DRAFT]) == []
    assert [each.share for each in nearest(DRAFT, [prototype("draft", "numbers add up")])] == [0]
