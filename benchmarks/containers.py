"""From `docker run` to the element in its set.  Not here yet: see the program's end."""

from benchmarks.common import Section, main


def run(_quick: bool) -> Section:
    """Skipped."""
    return Section("Containers", "From the start of a container to the element in its set.", [], [], notes="Skipped: no container engine.")


if __name__ == "__main__":
    main(run)
