"""A person needs no class: `Campaign.ask` and `Campaign.tell` are the whole interface.

```python
campaign = Campaign.open("runs/pets")
for query in campaign.ask():            # the same list until each is answered or skipped
    print(query.id, query.text)         # somebody goes and looks, for minutes or for weeks
campaign.tell("r001-q01", ["heron.jpg"])            # recorded before it returns
campaign.tell("r001-q02", ["a.jpg"], ["dog"])       # it shows something else than was asked for: say so
campaign.skip("r001-q03", "I cannot find this.")    # costs nothing
campaign.undo("r001-q02")                           # that was the wrong file: open again, while its round is
```

The same from a shell: `desiderata ask`, `tell`, `skip` and `undo`. Nothing has to stay running in
between, several people may answer at once, and whoever answers a query first has answered it.
"""
