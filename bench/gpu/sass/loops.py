"""The natural loops of a kernel: basic blocks, dominators, back edges."""
import re

ENDS_BLOCK = ("BRA", "CALL", "EXIT", "RET", "BRX", "JMP", "WARPSYNC")


class Loop:
    """`blocks` are indices of basic blocks; `inner` the loops inside of this one."""

    def __init__(self, graph, blocks):
        self.graph, self.blocks, self.inner = graph, blocks, []

    def instructions(self, blocks=None):
        for b in sorted(self.blocks if blocks is None else blocks):
            yield from self.graph.code_of(b)


class FlowGraph:
    def __init__(self, code, labels):
        self.code = code
        begins = {0} | set(labels.values())
        begins |= {i + 1 for i, instruction in enumerate(code) if instruction.name in ENDS_BLOCK}
        self.begins = sorted(b for b in begins if b < len(code))
        self.ends = self.begins[1:] + [len(code)]
        index = {begin: b for b, begin in enumerate(self.begins)}
        self.successors = [self._successors(code[end - 1], b, labels, index)
                           for b, end in enumerate(self.ends)]
        # ptxas also leaves a loop by a call that never returns: an edge like that of a branch.
        for b, end in enumerate(self.ends):
            callee = index.get(labels.get(code[end - 1].target))
            if code[end - 1].name == "CALL" and callee is not None and not self._returns(callee):
                self.successors[b].append(callee)

    def code_of(self, block):
        return self.code[self.begins[block]:self.ends[block]]

    def _successors(self, last, block, labels, index):
        found = []
        if last.name == "BRA" and labels.get(last.target) in index:
            found.append(index[labels[last.target]])
            conditional = last.predicate or ".DIV" in last.op or re.search(
                r"\bU?P\d", last.operands.split("`")[0])
            if conditional:
                found.append(block + 1)
        elif last.name not in ("EXIT", "RET", "JMP", "BRX") or last.predicate:
            found.append(block + 1)
        return [b for b in found if b < len(self.begins)]

    def _returns(self, block):
        """Whether a RET can be reached from the block."""
        seen, stack = set(), [block]
        while stack:
            b = stack.pop()
            if b in seen:
                continue
            seen.add(b)
            if self.code[self.ends[b] - 1].name == "RET":
                return True
            stack += self.successors[b]
        return False

    def _postorder(self):
        order, seen, stack = [], {0}, [(0, iter(self.successors[0]))]
        while stack:
            block, rest = stack[-1]
            following = next((b for b in rest if b not in seen), None)
            if following is None:
                order.append(block)
                stack.pop()
            else:
                seen.add(following)
                stack.append((following, iter(self.successors[following])))
        return order

    def loops(self):
        """All natural loops, each with those inside of it. (Cooper, Harvey, Kennedy, "A Simple,
        Fast Dominance Algorithm", 2001.)"""
        order = self._postorder()[::-1]
        rank = {b: i for i, b in enumerate(order)}
        predecessors = {b: [] for b in order}
        for b in order:
            for s in self.successors[b]:
                predecessors[s].append(b)
        dominator = {0: 0}

        def common(a, b):
            while a != b:
                while rank[a] > rank[b]:
                    a = dominator[a]
                while rank[b] > rank[a]:
                    b = dominator[b]
            return a

        changed = True
        while changed:
            changed = False
            for b in order[1:]:
                nearest = None
                for p in predecessors[b]:
                    if p in dominator:
                        nearest = p if nearest is None else common(nearest, p)
                if nearest is not None and dominator.get(b) != nearest:
                    dominator[b], changed = nearest, True

        def dominates(a, b):
            while b not in (a, 0):
                b = dominator[b]
            return a == b

        bodies = {}
        for b in order:
            for head in self.successors[b]:
                if not dominates(head, b):
                    continue
                body, work = bodies.setdefault(head, {head}), [b]
                while work:
                    block = work.pop()
                    if block not in body:
                        body.add(block)
                        work += predecessors[block]
        found = [Loop(self, body) for body in bodies.values()]
        for loop in found:
            loop.inner = [other for other in found if other.blocks < loop.blocks]
        return found
