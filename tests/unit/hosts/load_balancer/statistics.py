"""What HAProxy says of its servers."""

STAT = """# pxname,svname,status,check_status,check_code,last_chk,addr,
https,FRONTEND,OPEN,,,,,
web,web1,UP,* L7OK,200,HTTP status check returned code <3C>200<3E>,10.20.64.5:8443,
web,web2,DOWN,L4CON,,Connection refused,10.20.80.4:8443,
web,web3,MAINT (resolution),,,,,
web,BACKEND,UP,,,,,
web-writes,web1,UP,L7OK,200,HTTP status check returned code <3C>200<3E>,10.20.64.5:8443,
web-writes,web2,DOWN,L4CON,,Connection refused,10.20.80.4:8443,
web-writes,BACKEND,UP,,,,,
"""
REFUSED = STAT.replace("DOWN,L4CON,,Connection refused", "DOWN,L7STS,400,HTTP status check returned code <3C>400<3E>")
